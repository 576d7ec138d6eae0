// The page: what is shown, what keys and clicks do, and the clock.

const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 200, 500]; // ticks per second
const WINDOWS = [10, 25, 50, 100]; // ticks
const PLAY_ICON = "M8 5v14l11-7z", PAUSE_ICON = "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z";
const whole = new Intl.NumberFormat("en");

class App {
  constructor(header, episode) {
    [this.header, this.episode] = [header, episode];
    this.view = { time: 0, selected: -1, hovered: -1, nWindow: 25, layers: {}, cursor: null };
    this.isPlaying = this.isFollowing = false;
    this.speed = 20;
    this.isStale = true;
    this.arena = new Arena(byId("arena"), episode, header);
    this.curve = new Curve(byId("curve"), episode, header);
    this.colony = new ColonyChart(byId("colony"), episode, header);
    this.raster = new Raster(byId("raster"), episode, header);
    this.panel = new AntPanel(episode, header);
    this.fillTexts();
    makeLayers(header, this.view.layers, () => this.refresh());
    this.bindControls();
    this.bindPointers();
    document.addEventListener("keydown", (event) => this.onKey(event));
    // What was clicked with a pointer keeps no focus, so that the next key is for the player.
    document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
    const watcher = new ResizeObserver(() => this.refresh());
    for (const canvas of document.querySelectorAll("main canvas[id]")) watcher.observe(canvas);
    this.setSpeed(this.speed);
    this.select(-1);
    requestAnimationFrame((now) => this.frame(now));
  }

  get tick() { return Math.min(Math.floor(this.view.time), this.episode.nTicks); }

  refresh() { this.isStale = true; }

  fillTexts() {
    const { header, episode } = this;
    setText(byId("n-ticks"), `/ ${whole.format(episode.nTicks)}`);
    setText(byId("n-food"), `/ ${whole.format(header.n_food)}`);
    setText(byId("n-ants"), `/ ${whole.format(episode.nAnts)}`);
    byId("slider").max = episode.nTicks;
    const chooser = byId("chooser");
    const option = (value, textContent, selected = false) => element("option", { value, textContent, selected });
    chooser.append(option(-1, "All ants"));
    for (let ant = 0; ant < episode.nAnts; ant++) chooser.append(option(ant, `Ant ${ant}`));
    for (const n of WINDOWS) byId("window").append(option(n, `${n} ticks`, n === this.view.nWindow));
    document.querySelector(".legend .is-loaded").style.background = rgba(header.colours.loaded);
    document.querySelector(".legend .is-deposit").style.background = rgba(header.trail[2]);
  }

  bindControls() {
    const onClick = (id, action) => byId(id).addEventListener("click", action);
    onClick("play", () => this.play(!this.isPlaying));
    onClick("first", () => this.seek(0));
    onClick("back", () => this.step(-1));
    onClick("forth", () => this.step(1));
    onClick("slower", () => this.changeSpeed(-1));
    onClick("faster", () => this.changeSpeed(1));
    onClick("follow", () => this.follow(!this.isFollowing));
    onClick("release", () => this.select(-1));
    byId("slider").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    byId("chooser").addEventListener("change", (event) => {
      this.select(Number(event.target.value));
      event.target.blur();
    });
    byId("window").addEventListener("change", (event) => {
      this.view.nWindow = Number(event.target.value);
      event.target.blur();
      this.refresh();
    });
  }

  bindPointers() {
    const on = (id, describe, click) => {
      const canvas = byId(id);
      const place = (event) => {
        const box = canvas.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
      };
      canvas.addEventListener("pointermove", (event) => {
        const [x, y] = place(event);
        this.view.cursor = { canvas, x };
        this.tell(describe(x, y), event);
        if (id === "curve" && event.buttons & 1) this.seek(this.curve.tickAt(x));
        this.refresh();
      });
      canvas.addEventListener("pointerleave", () => {
        this.view.cursor = null;
        this.view.hovered = -1;
        this.tell("");
        this.refresh();
      });
      canvas.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        if (id === "curve") canvas.setPointerCapture(event.pointerId);
        click(...place(event));
      });
    };
    on("arena", (x, y) => this.hover(this.arena.antsAt(x, y, this.view.time)[0]?.ant ?? -1),
      (x, y) => this.pick(x, y));
    on("curve", (x) => {
      const tick = this.curve.tickAt(x);
      return `tick ${whole.format(tick)}: ${whole.format(this.episode.arrays.returned[tick])} food units in the nest`;
    }, (x) => this.seek(this.curve.tickAt(x)));
    on("colony", (x, y) => this.hover(this.colony.at(x, y)?.ant ?? -1), (x, y) => {
      const at = this.colony.at(x, y);
      if (!at) return;
      if (at.tick >= 0 && at.tick <= this.episode.nTicks) this.seek(at.tick);
      this.select(at.ant);
    });
    on("raster", (x, y) => {
      const { name, tick, ms } = this.raster.at(x, y, this.view);
      const when = [`tick ${whole.format(tick)}`, `${whole.format(Math.round(ms))} ms`];
      return (x < GUTTER ? [name] : [name, ...when]).filter(Boolean).join(" · ");
    }, (x, y) => {
      if (x < GUTTER) return;
      this.play(false);
      this.seek(this.raster.at(x, y, this.view).tick);
    });
  }

  /** Name an ant under the pointer. */
  hover(ant) {
    this.view.hovered = ant;
    byId("arena").style.cursor = ant < 0 ? "" : "pointer";
    return ant < 0 ? "" : `ant ${ant}${this.episode.isCarrying(ant, this.tick) ? ", carries food" : ""}`;
  }

  tell(text, event) {
    const tooltip = byId("tooltip");
    tooltip.hidden = !text;
    if (!text) return;
    setText(tooltip, text);
    const { width, height } = tooltip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, window.innerWidth - width - 8);
    const top = event.clientY + 18 + height > window.innerHeight ? event.clientY - height - 10 : event.clientY + 18;
    tooltip.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
  }

  /** Choose the ant at a place; where several stand together, every click takes the next one. */
  pick(x, y) {
    const near = this.arena.antsAt(x, y, this.view.time);
    if (near.length === 0) return;
    const together = near.filter(({ distance }) => distance <= near[0].distance + 4).map(({ ant }) => ant);
    this.select(together[(together.indexOf(this.view.selected) + 1) % together.length]);
  }

  select(ant) {
    const is = ant >= 0 && ant < this.episode.nAnts;
    this.view.selected = is ? ant : -1;
    byId("chooser").value = String(this.view.selected);
    for (const id of ["follow", "release", "ant-view"]) byId(id).hidden = !is;
    byId("colony-view").hidden = is;
    if (is) setText(byId("news"), `Ant ${ant} is chosen`);
    else {
      byId("load").hidden = true;
      this.follow(false);
    }
    this.refresh();
  }

  follow(is) {
    this.isFollowing = is && this.view.selected >= 0;
    byId("follow").setAttribute("aria-pressed", String(this.isFollowing));
    this.refresh();
  }

  seek(time) {
    this.view.time = Math.max(0, Math.min(this.episode.nTicks, time));
    this.refresh();
  }

  step(n) {
    this.play(false);
    this.seek(this.tick + n);
  }

  play(is) {
    if (is && this.view.time >= this.episode.nTicks) this.seek(0);
    this.isPlaying = is;
    byId("play").setAttribute("aria-label", is ? "Pause" : "Play");
    byId("play-icon").setAttribute("d", is ? PAUSE_ICON : PLAY_ICON);
  }

  setSpeed(speed) {
    this.speed = speed;
    setText(byId("speed"), `${speed} tick${speed === 1 ? "" : "s"}/s`);
  }

  changeSpeed(by) {
    const place = SPEEDS.indexOf(this.speed) + by;
    this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, place))]);
  }

  onKey(event) {
    const { tagName, id } = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || (tagName === "SELECT" && event.key !== "Escape")) return;
    const { nAnts, nTicks } = this.episode, { selected, time } = this.view, stride = event.shiftKey ? 20 : 1;
    const actions = {
      " ": tagName === "BUTTON" ? null : () => this.play(!this.isPlaying),
      ArrowLeft: () => this.step(-stride),
      ArrowRight: () => this.step(stride),
      ArrowUp: () => this.changeSpeed(1),
      ArrowDown: () => this.changeSpeed(-1),
      Home: () => this.seek(0),
      End: () => this.seek(nTicks),
      PageUp: id === "slider" ? () => this.seek(time + 100) : null,
      PageDown: id === "slider" ? () => this.seek(time - 100) : null,
      n: () => this.select((selected + 1) % nAnts),
      p: () => this.select(selected > 0 ? selected - 1 : nAnts - 1),
      f: () => this.follow(!this.isFollowing),
      Escape: () => this.select(-1),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  frame(now) {
    const { view, episode } = this;
    if (this.isPlaying && this.before !== undefined) {
      view.time = Math.min(episode.nTicks, view.time + (this.speed * Math.min(now - this.before, 100)) / 1000);
      if (view.time >= episode.nTicks) this.play(false);
      this.refresh();
    }
    this.before = now;
    const target = this.isFollowing ? episode.body(view.selected, view.time) : null;
    if (this.arena.moveCamera(target)) this.refresh();
    if (this.isStale) {
      this.isStale = false;
      this.draw();
    }
    requestAnimationFrame((next) => this.frame(next));
  }

  draw() {
    const { view, episode, tick } = this;
    this.arena.draw(view);
    this.curve.draw(view);
    if (view.selected < 0) {
      this.colony.draw(view);
      byId("colony-count").hidden = !this.colony.layout().hasNames;
    } else {
      this.raster.draw(view);
      this.panel.show(view.selected, tick);
    }
    setText(byId("tick"), whole.format(tick));
    setText(byId("returned"), whole.format(episode.arrays.returned[tick]));
    setText(byId("carrying"), whole.format(episode.nLoaded[tick]));
    setText(byId("fitness"), whole.format(Math.round(episode.arrays.fitness[tick])));
    setText(byId("clock"), `tick ${whole.format(tick)} of ${whole.format(episode.nTicks)}`);
    const seconds = ((tick * this.header.brain.tick_ms) / 1000).toFixed(2);
    setText(byId("brain-time"), `${seconds} s of brain time`);
    const slider = byId("slider");
    slider.value = tick;
    slider.style.setProperty("--share", `${(100 * tick) / episode.nTicks}%`);
    slider.setAttribute("aria-valuetext", `tick ${tick} of ${episode.nTicks}`);
  }
}

/** What tests and curious people may read; nothing here changes the page. */
function readOnlyHook(app, header, episode) {
  const copy = (array) => Array.from(array);
  return Object.freeze({
    header,
    get state() {
      const { time, selected, hovered, nWindow, layers } = app.view;
      const { tick, isPlaying, isFollowing, speed } = app;
      const raster = selected < 0 ? null
        : { first: app.raster.firstTick(app.view), nWindow, spikes: app.raster.spikes(app.view) };
      return { time, tick, isPlaying, isFollowing, speed, selected, hovered, layers: { ...layers }, raster };
    },
    array: (name) => copy(episode.arrays[name]),
    spikeSteps: (ant, neuron) => episode.spikeSteps(ant, neuron),
    body: (ant, time) => episode.body(ant, time),
    isSensing: (ant, sensor, tick) => episode.isSensing(ant, sensor, tick),
    field: (tick) => copy(episode.field(episode.fieldIndex(tick))),
    food: (tick) => copy(episode.food(tick)),
    rowsOfRaster: () => {
      const layout = app.raster.layout(app.view);
      return Array.from({ length: episode.nNeurons }, (_, neuron) => app.raster.rowOf(neuron, layout));
    },
    placeOf: (ant) => {
      const box = byId("arena").getBoundingClientRect();
      const place = app.arena.placeOf(episode.body(ant, app.view.time));
      return { x: box.left + place.x, y: box.top + place.y };
    },
  });
}

/** `#tick=700&ant=3` opens the page there, at rest. */
function goToAddress(app) {
  const wanted = new URLSearchParams(window.location.hash.slice(1));
  if (wanted.has("ant")) app.select(Number(wanted.get("ant")));
  if (wanted.has("tick")) app.seek(Number(wanted.get("tick")) || 0);
  const isStill = wanted.has("tick") || window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  app.play(!isStill);
}

async function start() {
  try {
    const header = JSON.parse(byId("header").textContent);
    for (const id of ["name", "summary", "source"]) setText(byId(id), header[id]);
    const content = await inflate(byId("stream")?.textContent ?? "");
    const episode = new Episode(header, unpack(header.arrays, content));
    byId("app").hidden = false;
    const app = new App(header, episode);
    Object.defineProperty(window, "stigmergy", { value: readOnlyHook(app, header, episode) });
    goToAddress(app);
    app.draw(); // here, so that what fails is told
  } catch (error) {
    byId("app").hidden = true;
    byId("problem").hidden = false;
    const isCut = error instanceof SyntaxError; // of the header
    const damaged = "This page is damaged or cut off. Make it again, or copy it again.";
    setText(byId("problem"), isCut ? damaged : error.message);
  }
}

document.addEventListener("DOMContentLoaded", start);
