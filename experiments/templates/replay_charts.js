// Pictures over time: the food in the nest, who carries it, and what one ant senses and fires.

const GUTTER = 78; // pixels for the names of the rows of a raster
const CURSOR = "rgba(255, 255, 255, .35)";
const CURVE_EDGE = 7; // half the knob of the slider, so that curve and slider agree
const ROW_NAMES = ["wall ahead", "food ahead", "trail left", "trail ahead", "trail right", "on a wall", "picks up",
  "nest left", "nest ahead", "nest right", "on the nest"];

/** Hues of the sensors and motor neurons: what they are about. */
function hues(header) {
  const { wall, food, nest, ant, loaded } = header.colours, trail = header.trail[2];
  const scent = header.colours["nest-edge"];
  return {
    sensors: [[200, 194, 190], food, trail, trail, trail, wall, loaded, scent, scent, scent, nest],
    motors: [ant, [246, 170, 230], loaded, trail],
    hidden: [190, 187, 200],
  };
}

function begin(canvas) {
  const size = fitCanvas(canvas), context = canvas.getContext("2d");
  context.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  context.textBaseline = "middle";
  return { ...size, context };
}

const font = (size, weight = 400) => `${weight} ${size}px system-ui, sans-serif`;

/** The food in the nest over the episode, and below it when the chosen ant carried food. */
class Curve {
  constructor(canvas, episode, header) {
    [this.canvas, this.episode, this.header] = [canvas, episode, header];
    this.highest = Math.max(1, episode.arrays.returned.at(-1));
  }

  tickAt(x) {
    const width = this.canvas.clientWidth - 2 * CURVE_EDGE;
    return Math.max(0, Math.min(this.episode.nTicks, Math.round(((x - CURVE_EDGE) / width) * this.episode.nTicks)));
  }

  draw({ time, selected, cursor }) {
    const { context, width, height } = begin(this.canvas), { episode, header } = this;
    const { returned } = episode.arrays, bottom = height - 9, top = 6;
    const x = (tick) => CURVE_EDGE + (tick / episode.nTicks) * (width - 2 * CURVE_EDGE);
    const y = (units) => bottom - (units / this.highest) * (bottom - top);
    context.fillStyle = "rgba(255, 255, 255, .035)";
    context.fillRect(CURVE_EDGE, top, width - 2 * CURVE_EDGE, bottom - top);
    const outline = new Path2D();
    outline.moveTo(x(0), y(returned[0]));
    for (let tick = 1; tick <= episode.nTicks; tick++) {
      if (returned[tick] === returned[tick - 1]) continue;
      outline.lineTo(x(tick), y(returned[tick - 1]));
      outline.lineTo(x(tick), y(returned[tick]));
    }
    outline.lineTo(x(episode.nTicks), y(returned[episode.nTicks]));
    const area = new Path2D(outline);
    area.lineTo(x(episode.nTicks), bottom);
    area.lineTo(x(0), bottom);
    const { food, loaded } = header.colours;
    for (const [from, to, fill, line] of [[0, time, 0.38, 1], [time, episode.nTicks, 0.1, 0.35]]) {
      context.save();
      context.beginPath();
      context.rect(x(from), 0, Math.max(0, x(to) - x(from)), height);
      context.clip();
      context.fillStyle = rgba(food, fill);
      context.fill(area);
      context.strokeStyle = rgba(food, line);
      context.lineWidth = 1.5;
      context.stroke(outline);
      context.restore();
    }
    context.font = font(11);
    context.textAlign = "left";
    context.fillStyle = "rgba(206, 204, 212, .75)";
    context.fillText("food in the nest", CURVE_EDGE + 6, top + 9);
    if (selected >= 0) {
      context.fillStyle = rgba(loaded, 0.85);
      forEachRun(episode.nTicks + 1, (tick) => episode.isCarrying(selected, tick), (from, to) =>
        context.fillRect(x(from), height - 6, Math.max(1, x(to) - x(from)), 4));
    }
    drawLine(context, x(time), 0, height, "#fff", 1.5);
    if (cursor?.canvas === this.canvas) drawLine(context, cursor.x, 0, height, CURSOR, 1);
  }
}

function drawLine(context, x, top, bottom, style, width) {
  context.strokeStyle = style;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x, bottom);
  context.stroke();
}

/** Call use(first, end) for every run of indices where is(index) holds. */
function forEachRun(size, is, use) {
  for (let index = 0, first = -1; index <= size; index++) {
    const isIn = index < size && is(index);
    if (isIn && first < 0) first = index;
    if (!isIn && first >= 0) {
      use(first, index);
      first = -1;
    }
  }
}

/** One row per ant: when it carried food, when it left pheromone; the row ends with what it has brought home. */
class ColonyChart {
  constructor(canvas, episode, header) {
    [this.canvas, this.episode, this.header] = [canvas, episode, header];
  }

  layout() {
    const { width, height } = this.canvas.getBoundingClientRect(), nAnts = this.episode.nAnts;
    const row = Math.min(30, (height - 2) / nAnts), hasNames = row >= 10;
    return { row, hasNames, left: hasNames ? 24 : 4, right: width - (hasNames ? 30 : 4), width, height };
  }

  /** Ant and tick at a place; the tick is beyond the ends beside the rows. */
  at(x, y) {
    const { row, left, right } = this.layout(), ant = Math.floor(y / row);
    const tick = Math.round(((x - left) / (right - left)) * this.episode.nTicks);
    return ant < this.episode.nAnts ? { ant, tick } : null;
  }

  draw({ time, hovered, cursor }) {
    const { context, ratio } = begin(this.canvas), { episode } = this;
    const { row, hasNames, left, right, width, height } = this.layout();
    const key = `${width} ${height} ${ratio}`;
    if (this.key !== key) [this.key, this.rows] = [key, this.paintRows(ratio)];
    if (hovered >= 0) {
      context.fillStyle = "rgba(255, 255, 255, .07)";
      context.fillRect(0, hovered * row, width, row);
    }
    const x = left + (time / episode.nTicks) * (right - left);
    context.drawImage(this.rows, 0, 0, width, height);
    context.fillStyle = "rgba(23, 22, 29, .55)";
    context.fillRect(x, 0, right - x, row * episode.nAnts);
    drawLine(context, x, 0, row * episode.nAnts, "#fff", 1.5);
    if (cursor?.canvas === this.canvas) drawLine(context, cursor.x, 0, row * episode.nAnts, CURSOR, 1);
    if (!hasNames) return;
    context.font = font(11);
    context.textAlign = "right";
    for (let ant = 0; ant < episode.nAnts; ant++) {
      const isLoaded = episode.isCarrying(ant, Math.floor(time)), y = (ant + 0.5) * row;
      context.fillStyle = isLoaded ? rgba(this.header.colours.loaded) : "rgba(206, 204, 212, .8)";
      context.fillText(String(ant), left - 8, y);
      context.fillStyle = "rgba(206, 204, 212, .8)";
      context.fillText(String(episode.delivered(ant, Math.floor(time))), width - 4, y);
    }
  }

  paintRows(ratio) {
    const { row, left, right, width, height } = this.layout(), { episode, header } = this;
    const [nColumns, nRows] = [width, height].map((side) => Math.max(1, Math.round(side * ratio)));
    const picture = new OffscreenCanvas(nColumns, nRows);
    const context = picture.getContext("2d");
    context.scale(ratio, ratio);
    const x = (tick) => left + (tick / episode.nTicks) * (right - left);
    for (let ant = 0; ant < episode.nAnts; ant++) {
      const y = ant * row, gap = Math.min(2, 0.15 * row);
      context.fillStyle = "rgba(255, 255, 255, .045)";
      context.fillRect(left, y + gap, right - left, row - 2 * gap);
      context.fillStyle = rgba(header.colours.loaded, 0.9);
      forEachRun(episode.nTicks + 1, (tick) => episode.isCarrying(ant, tick), (from, to) =>
        context.fillRect(x(from), y + gap + 0.18 * row, Math.max(1, x(to) - x(from)), 0.64 * row - 2 * gap));
      context.fillStyle = rgba(header.trail[2]);
      forEachRun(episode.nTicks, (tick) => episode.isDepositing(ant, tick), (from, to) =>
        context.fillRect(x(from), y + gap, Math.max(1, x(to) - x(from)), row - 2 * gap));
    }
    return picture;
  }
}

/** Sensors as bars, spikes of the hidden and motor neurons as strokes, in a window around the current tick. */
class Raster {
  constructor(canvas, episode, header) {
    [this.canvas, this.episode, this.header, this.hues] = [canvas, episode, header, hues(header)];
    this.tickMs = header.brain.tick_ms;
    this.stepMs = header.brain.step_ms;
  }

  /** First tick of the window, not whole while it glides. */
  firstTick({ time, nWindow }) {
    return Math.max(0, Math.min(time - nWindow / 2, this.episode.nTicks - nWindow));
  }

  layout(view) {
    const { width, height } = this.canvas.getBoundingClientRect();
    const { nSensors, nHidden, nMotors } = this.episode;
    const hiddenShare = Math.min(0.72 * nHidden, 26), gap = 7, axis = 16;
    const unit = Math.max(4, Math.min(20, (height - axis - 2 * gap) / (nSensors + hiddenShare + 1.35 * nMotors)));
    const hiddenTop = nSensors * unit + gap, motorTop = hiddenTop + hiddenShare * unit + gap;
    const first = this.firstTick(view), perMs = (width - GUTTER - 6) / (view.nWindow * this.tickMs);
    return {
      width, height, unit, hiddenTop, motorTop, first, perMs,
      hidden: (hiddenShare * unit) / nHidden,
      motor: 1.35 * unit,
      bottom: motorTop + nMotors * 1.35 * unit,
      x: (ms) => GUTTER + (ms - first * this.tickMs) * perMs,
    };
  }

  /** Top and height of the row of a neuron. */
  rowOf(neuron, layout) {
    return neuron < this.episode.nHidden
      ? [layout.hiddenTop + neuron * layout.hidden, layout.hidden]
      : [layout.motorTop + (neuron - this.episode.nHidden) * layout.motor, layout.motor];
  }

  /** Steps of all spikes in the window, a list per neuron. */
  spikes(view) {
    const { episode } = this, first = this.firstTick(view) * episode.stepsPerTick;
    const last = Math.ceil(first + view.nWindow * episode.stepsPerTick);
    return Array.from({ length: episode.nNeurons }, (_, neuron) =>
      episode.spikeSteps(view.selected, neuron, Math.floor(first), last));
  }

  /** What is at a place: the name of the row, and the time. */
  at(px, py, view) {
    const layout = this.layout(view), ms = layout.first * this.tickMs + (px - GUTTER) / layout.perMs;
    const tick = Math.max(0, Math.min(this.episode.nTicks - 1, Math.floor(ms / this.tickMs)));
    const row = (top, height, size) => Math.max(0, Math.min(Math.floor((py - top) / height), size - 1));
    const { nSensors, nHidden, nMotors } = this.episode;
    let name = "";
    if (py < layout.hiddenTop - 4) name = ROW_NAMES[row(0, layout.unit, nSensors)];
    else if (py < layout.motorTop - 4) name = `hidden ${row(layout.hiddenTop, layout.hidden, nHidden)}`;
    else if (py < layout.bottom) {
      name = `motor neuron ${this.header.brain.motors[row(layout.motorTop, layout.motor, nMotors)]}`;
    }
    return { name, tick, ms: Math.max(0, ms) };
  }

  draw(view) {
    const { context } = begin(this.canvas), { episode, tickMs } = this, layout = this.layout(view);
    const tick = Math.min(Math.floor(view.time), episode.nTicks - 1), last = layout.first + view.nWindow;
    this.drawGrid(context, layout, view, tick);
    context.save();
    context.beginPath();
    context.rect(GUTTER, 0, layout.width - GUTTER - 6, layout.height);
    context.clip();
    const ticks = [Math.max(0, Math.floor(layout.first) - 1), Math.min(episode.nTicks, Math.ceil(last))];
    this.drawSensors(context, layout, view.selected, ...ticks);
    this.drawSpikes(context, layout, view, tick);
    drawLine(context, layout.x(view.time * tickMs), 0, layout.bottom, "#fff", 1.5);
    if (view.cursor?.canvas === this.canvas) drawLine(context, view.cursor.x, 0, layout.bottom, CURSOR, 1);
    context.restore();
  }

  drawGrid(context, layout, view, tick) {
    const { episode, tickMs, hues } = this, { bottom, unit, x } = layout;
    context.fillStyle = "rgba(255, 255, 255, .09)";
    context.fillRect(Math.max(GUTTER, x(tick * tickMs)), 0, tickMs * layout.perMs, bottom);
    context.font = font(Math.min(11, unit + 1));
    context.textAlign = "right";
    for (let k = 0; k < episode.nSensors; k++) {
      const isOn = episode.isDriven(view.selected, k, tick);
      context.fillStyle = isOn ? rgba(hues.sensors[k]) : "rgba(154, 150, 166, .75)";
      context.fillText(ROW_NAMES[k], GUTTER - 8, (k + 0.5) * unit);
      context.fillStyle = "rgba(255, 255, 255, .035)";
      context.fillRect(GUTTER, (k + 0.12) * unit, layout.width - GUTTER - 6, 0.76 * unit);
    }
    context.fillStyle = "rgba(154, 150, 166, .75)";
    context.fillText(`${episode.nHidden} hidden`, GUTTER - 8, (layout.hiddenTop + layout.motorTop - 7) / 2);
    context.font = font(11, 600);
    for (const [k, name] of this.header.brain.motors.entries()) {
      context.fillStyle = rgba(hues.motors[k]);
      context.fillText(name, GUTTER - 8, layout.motorTop + (k + 0.5) * layout.motor);
    }
    context.font = font(10);
    context.fillStyle = "rgba(154, 150, 166, .8)";
    const every = view.nWindow <= 12 ? 2 : view.nWindow <= 30 ? 5 : view.nWindow <= 60 ? 10 : 20;
    for (let t = Math.ceil(layout.first / every) * every; t <= layout.first + view.nWindow; t += every) {
      const place = x(t * tickMs);
      drawLine(context, place, 0, bottom + 3, "rgba(255, 255, 255, .07)", 1);
      context.textAlign = place > layout.width - 24 ? "right" : place < GUTTER + 12 ? "left" : "center";
      context.fillText(t === 0 ? "tick 0" : String(t), place, bottom + 10);
    }
  }

  /** A sensor acts from a little after the begin of a tick to as much after its end. */
  drawSensors(context, layout, ant, first, end) {
    const { episode, tickMs, hues } = this, lag = this.header.brain.input_lag_ms;
    for (let k = 0; k < episode.nSensors; k++) {
      context.fillStyle = rgba(hues.sensors[k], 0.9);
      forEachRun(end - first, (i) => episode.isDriven(ant, k, first + i), (from, to) => {
        const left = layout.x((first + from) * tickMs + lag), right = layout.x((first + to) * tickMs + lag);
        context.beginPath();
        context.roundRect(left, (k + 0.2) * layout.unit, Math.max(1, right - left - 0.5), 0.6 * layout.unit, 3);
        context.fill();
      });
    }
  }

  drawSpikes(context, layout, view, tick) {
    const { episode, stepMs, hues } = this, { stepsPerTick } = episode;
    const wide = Math.max(1, Math.min(3, 0.62 * stepMs * layout.perMs));
    for (const [neuron, steps] of this.spikes(view).entries()) {
      const [top, height] = this.rowOf(neuron, layout), motor = neuron - episode.nHidden;
      const hue = motor >= 0 ? hues.motors[motor] : hues.hidden, inset = Math.min(1.5, 0.14 * height);
      for (const step of steps) {
        const isNow = Math.floor((step - 1) / stepsPerTick) === tick;
        context.fillStyle = rgba(hue, isNow ? 1 : motor >= 0 ? 0.8 : 0.62);
        const left = layout.x((step - 0.5) * stepMs) - wide / 2; // in the middle of its step
        context.fillRect(left, top + inset, wide, Math.max(0.7, height - 2 * inset));
      }
    }
  }
}
