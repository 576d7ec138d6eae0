"""`stigmergy show`, `merge` and `plot`: what a run tells about itself, under way, done, or hurt."""

import json
import os
import shutil

import numpy as np
import pytest

from experiments import merge, plot, show
from experiments.run_folder import RunFolder
from experiments.show import summarise, to_lines
from tests.faults.toy import assert_same_run, fails_at, run_toy, tree
from tests.unit.test_records import FIXTURES


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.run.plot_fitness", lambda *_: True)
    path = tmp_path / "run"
    assert run_toy(path, fails_at(3), generations=2) == 0
    assert run_toy(path, generations=3) == 0
    return path


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A run that ended in the middle of generation 1."""
    monkeypatch.setattr("experiments.run.plot_fitness", lambda *_: True)
    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "killed", fails_at(2, error=KeyboardInterrupt))
    return tmp_path / "killed"


def test_a_summary_tells_progress_best_failures_starts_and_the_checkpoint_in_use(run):
    summary = summarise(RunFolder(run))
    generations = RunFolder(run).read_results()["generations"]
    assert (summary["done"], summary["planned"], summary["open"]) == (3, 3, {})
    best = int(np.argmax(generations["best"]))
    assert summary["progress"]["best"] == generations["best"][best]
    assert summary["progress"]["best_generation"] == best
    assert summary["progress"]["seconds"]["all"] == pytest.approx(generations["seconds"].sum())
    failed = summary["failures"]["exception"]
    assert (failed["n"], failed["first"]) == (2, "generation 1, individual 3, episode 0")
    assert failed["error"] == "ValueError: the vector broke"
    assert [start["n_ranks"] for start in summary["starts"]] == [1, 1]
    assert summary["checkpoint"]["file"].startswith("gen_000003-")
    assert summary["settings"]["population"] == 4
    assert sum(summary["bytes"].values()) == sum(len(content) for content in tree(run).values())
    assert summary["process"] == {}


def test_people_and_programs_get_the_same(run, capsys):
    assert show.main([str(run), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads(json.dumps(summarise(RunFolder(run))))
    assert show.main([str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == list(to_lines(summary))
    assert "progress    3 of 3 generations" in lines
    assert any(line.startswith("failed      2 × exception, first generation 1") for line in lines)
    assert all(len(name) <= 12 for name in (line.split()[0] for line in lines[1:]))


def test_a_run_that_was_killed_tells_how_far_its_open_generation_is(killed):
    summary = summarise(RunFolder(killed))
    assert summary["open"] == {"generation": 1, "done": 4, "failed": 0}
    assert (summary["done"], summary["planned"]) == (1, 3)


@pytest.mark.parametrize("told", ["running in process", "killed while in process"])
def test_who_uses_a_run_is_told_and_whether_that_process_is_still_there(run, told):
    holder = {
        "pid": os.getpid() if told.startswith("running") else 2**22 + 1,
        "host": os.uname().nodename,
        "since_utc": "2026-01-01",
    }
    (run / ".lock").write_text(json.dumps(holder))
    assert any(told in line for line in to_lines(summarise(RunFolder(run))))
    (run / ".lock").write_text(json.dumps(holder | {"host": "elsewhere"}))
    assert any("running or killed in process" in line for line in to_lines(summarise(RunFolder(run))))


def test_a_run_that_has_only_begun_can_be_shown(tmp_path, capsys):
    RunFolder.create(tmp_path / "new", "generations = 9\n")
    assert show.main([str(tmp_path / "new")]) == 0
    assert "progress    0 of 9 generations" in capsys.readouterr().out


def test_damaged_checkpoints_are_told_with_the_one_that_would_be_used(run):
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(b"")
    summary = summarise(RunFolder(run))
    assert summary["checkpoint"]["file"].startswith("gen_000002-")
    assert any(newest.name in line and "is damaged" in line for line in to_lines(summary))
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert any("no checkpoint in" in line for line in to_lines(summarise(RunFolder(run))))


@pytest.mark.parametrize("schema", FIXTURES)
def test_runs_of_every_schema_can_be_shown_merged_and_drawn(schema, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(FIXTURES[schema], run)
    assert show.main([str(run)]) == 0
    assert (
        "failed      1 × exception, first generation 1, individual 0, episode 1: RuntimeError: the ant fell asleep"
        in (capsys.readouterr().out)
    )
    assert merge.main([str(run)]) == 0
    assert f"merged 1 records; {run / 'results.h5'} holds 3 generations" in capsys.readouterr().out
    assert plot.main([str(run)]) == 0
    assert (run / "fitness.png").read_bytes()[:4] == b"\x89PNG"


def test_merging_a_run_that_was_killed_brings_its_records_together(killed, tmp_path, monkeypatch):
    before = RunFolder(killed).read_results()
    assert len(list((killed / "generations").iterdir())) == 1
    assert merge.main([str(killed)]) == 0
    assert list((killed / "generations").iterdir()) == []
    for table, columns in RunFolder(killed).read_results().items():
        for column, values in columns.items():
            np.testing.assert_array_equal(values, before[table][column])
    assert run_toy(killed) == 0
    assert run_toy(tmp_path / "whole") == 0
    assert_same_run(killed, tmp_path / "whole")


def test_merging_builds_results_that_were_moved_away_from_the_records_that_are_left(killed, capsys):
    assert merge.main([str(killed)]) == 0
    (killed / "results.h5").write_bytes(b"damaged")
    assert merge.main([str(killed)]) == 65
    assert "results.h5 is damaged" in capsys.readouterr().err


def test_a_run_in_use_is_not_merged(run, capsys):
    with RunFolder(run).lock():
        assert merge.main([str(run)]) == 73
    assert f"in use by another process, {os.getpid()} on" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_figure_is_drawn_where_it_is_asked_for(run, tmp_path, ending, capsys):
    out = tmp_path / f"curve.{ending}"
    assert plot.main([str(run), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"figure {out}\n"
    assert out.stat().st_size > 1000


def test_a_figure_of_another_kind_in_no_folder_or_of_nothing_is_refused(run, tmp_path, capsys):
    assert plot.main([str(run), "-o", "curve.docx"]) == 64
    assert "--out curve.docx: figures are .png, .pdf, .svg" in capsys.readouterr().err
    assert plot.main([str(run), "-o", str(tmp_path / "none" / "curve.png")]) == 73
    assert "the folder" in capsys.readouterr().err
    RunFolder.create(tmp_path / "new", "")
    assert plot.main([str(tmp_path / "new")]) == 73
    assert "has no generation on record yet" in capsys.readouterr().err


def test_without_matplotlib_the_way_out_is_told(run, monkeypatch, capsys):
    monkeypatch.setattr(plot, "plot_fitness", lambda *_: False)
    assert plot.main([str(run)]) == 69
    assert "pip install -e '.[plot]'" in capsys.readouterr().err


def test_the_open_generation_counts_tasks_not_lines(killed):
    from experiments.journal import Header, Journal
    from experiments.journal_lines import read_records

    path = killed / "journal" / "gen_000001.jsonl"
    header = next(record for record in read_records(path.read_bytes(), path)[0] if record["event"] == "opened")
    with Journal(path, Header(1, header["genomes"], header["config"])) as journal:
        for result in journal.known.values():
            journal.finished(result)
    assert summarise(RunFolder(killed))["open"] == {"generation": 1, "done": 4, "failed": 0}
    with Journal(path, Header(1, "others", header["config"])):
        pass
    assert summarise(RunFolder(killed))["open"] == {"generation": 1, "done": 0, "failed": 0}


def test_a_journal_that_goes_away_while_it_is_read_is_looked_for_again(killed, monkeypatch):
    def gone(path):
        path.unlink()
        raise FileNotFoundError(path)

    monkeypatch.setattr(show, "count_results", gone)
    assert summarise(RunFolder(killed))["open"] == {}


def test_odd_provenance_is_one_clear_line(run, capsys):
    (run / "provenance.json").write_text('[{"command": 3}]')
    assert show.main([str(run)]) == 65
    assert "provenance.json is damaged (it is no list of starts)" in capsys.readouterr().err
