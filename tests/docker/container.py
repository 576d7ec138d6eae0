"""Building and running the image where there is no container engine: buildah and crun alone, as root.

A registry cannot be asked here, so the base is a Debian with Python from debootstrap, in the place of the one of the
Dockerfile.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PROGRAMS = ("buildah", "crun", "debootstrap")
BASE = "localhost/base:bookworm"
TAG = "localhost/stigmergy:test"
# crun needs the second version of control groups, which machines with the first one can still mount.
_CRUN = """
if ! [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
fi
exec crun --cgroup-manager=disabled run "$0"
"""


class Image:
    """The image of this checkout in a store of its own.

    Parameters
    ----------
    folder : an empty folder for the store
    """

    def __init__(self, folder):
        self._folder = folder
        self._n_runs = 0
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n'
        )
        self._env = {**os.environ, "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "BUILDER": "buildah"}

    def build(self):
        """Build the base, then the image as `make image` does; the root file system of the result is mounted."""
        root = self._folder / "base"
        included = "--include=python3,python3-venv,ca-certificates"
        self._run("debootstrap", "--variant=minbase", included, "bookworm", root)
        container = self._run("buildah", "from", "scratch")
        self._run("buildah", "add", "--quiet", container, root, "/")
        self._run("buildah", "commit", "--quiet", container, BASE)
        options = ["--isolation", "chroot", "--pull-never", "--build-arg", f"BASE={BASE}", *self._pip_settings()]
        self._run(ROOT / "docker" / "build.sh", TAG, *options)
        self._container = self._run("buildah", "from", "--pull-never", TAG)
        self._root = self._run("buildah", "mount", self._container)

    def remove(self):
        """Delete everything."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("buildah", "rm", "--all")
            self._run("buildah", "rmi", "--all", "--force")
        shutil.rmtree(self._folder, ignore_errors=True)

    def config(self):
        """What the image says about itself."""
        return json.loads(self._run("buildah", "inspect", "--type", "image", TAG))["Docker"]["config"]

    def run(self, data, *words, user=1000, has_tmp=True, is_data_writable=True, timeout=300):
        """Run a container with a read-only root, as a user without rights; returns the finished process.

        Parameters
        ----------
        data : folder that is mounted at the working folder
        words : what follows the name of the image on the command line
        """
        self._n_runs += 1
        bundle = self._folder / f"bundle{self._n_runs}"
        bundle.mkdir()
        self._run("crun", "spec", cwd=bundle)
        spec = json.loads((bundle / "config.json").read_text())
        spec["root"] = {"path": self._root, "readonly": True}
        config = self.config()
        spec["process"] |= {
            "terminal": False,
            "user": {"uid": user, "gid": user},
            "args": [*config["Entrypoint"], *words],
            "env": config["Env"],
            "cwd": config["WorkingDir"],
            "capabilities": {},
            "noNewPrivileges": True,
        }
        del spec["process"]["rlimits"]
        spec["linux"]["namespaces"] = [each for each in spec["linux"]["namespaces"] if each["type"] != "cgroup"]
        spec["mounts"] = [each for each in spec["mounts"] if each["type"] != "cgroup"]
        mode = "rw" if is_data_writable else "ro"
        spec["mounts"].append({"destination": "/data", "source": str(data), "options": ["rbind", mode]})
        if has_tmp:
            spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]})
        (bundle / "config.json").write_text(json.dumps(spec))
        command = ["unshare", "--mount", "sh", "-euc", _CRUN, f"stigmergy-{os.getpid()}-{self._n_runs}"]
        return subprocess.run(command, cwd=bundle, capture_output=True, text=True, timeout=timeout)

    def _run(self, *words, cwd=ROOT):
        """Last line that a command prints; an error shows its whole output."""
        command = [str(word) for word in words]
        done = subprocess.run(command, cwd=cwd, env=self._env, capture_output=True, text=True, timeout=1800)
        if done.returncode != 0:
            sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
        return done.stdout.strip() if "inspect" in words else done.stdout.strip().rpartition("\n")[2]

    def _pip_settings(self):
        """Mounts that let pip inside reach what pip reaches here: its index and the certificates it trusts."""
        listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
        known = dict(line.split("=", 1) for line in listed.splitlines() if "=" in line)
        settings = {name.rpartition(".")[2]: value.strip("'") for name, value in known.items()}
        kept = {name: settings[name] for name in ("index-url", "trusted-host", "proxy", "cert") if name in settings}
        path = self._folder / "pip.conf"
        path.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in kept.items()))
        mounts = [f"{path}:/etc/pip.conf:ro"]
        if "cert" in kept:
            mounts.append(f"{Path(kept['cert']).resolve()}:{kept['cert']}:ro")
        return [word for mount in mounts for word in ("--volume", mount)]
