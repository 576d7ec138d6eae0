// The arena from above. Everything is drawn in patches: column x - x_min + 0.5, row y_max - y + 0.5.

const ANT_LENGTH = 2.4; // patches
const SMALLEST_ANT = 15; // pixels
const TRAIL_TICKS = 48;
const PULSE_TICKS = 9;
const FOLLOWED_PATCHES = 24; // that fit into the longer side of the arena while an ant is followed
const SMOOTH_PATCHES = 40000; // larger pheromone fields are not faded in, which would cost too much per frame

const rgba = (colour, alpha = 1) => `rgba(${colour[0]}, ${colour[1]}, ${colour[2]}, ${alpha})`;

/** Fit the pixels of a canvas to its place on the page; returns its size there. */
function fitCanvas(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const columns = Math.max(1, Math.round(width * ratio)), rows = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
  return { width, height, ratio };
}

/** Colours of the pheromone levels, red, green, blue, opacity; as those of envs/render.py. */
function pheromoneShades(ramp) {
  const shades = new Uint8ClampedArray(4 * 256);
  for (let level = 1; level < 256; level++) {
    const share = (level - 1) / 254, place = share * (ramp.length - 1);
    const stop = Math.min(Math.floor(place), ramp.length - 2), part = place - stop;
    for (let k = 0; k < 3; k++) shades[4 * level + k] = ramp[stop][k] * (1 - part) + ramp[stop + 1][k] * part;
    shades[4 * level + 3] = 255 * Math.min(0.3 + 2.8 * share, 1);
  }
  return shades;
}

/** Abdomen, thorax and head of an ant that looks up, 2.4 long. */
const BODY = new Path2D();
for (const [y, across, along] of [[0.62, 0.34, 0.52], [-0.22, 0.21, 0.36], [-0.8, 0.27, 0.27]]) {
  BODY.moveTo(across, y);
  BODY.ellipse(0, y, across, along, 0, 0, 2 * Math.PI);
}

class Arena {
  constructor(canvas, episode, header) {
    [this.canvas, this.context, this.episode] = [canvas, canvas.getContext("2d"), episode];
    [this.world, this.colours, this.ramp] = [header.world, header.colours, header.trail];
    this.shades = pheromoneShades(header.trail);
    this.field = new OffscreenCanvas(episode.nColumns, episode.nRows);
    this.fieldContext = this.field.getContext("2d");
    this.image = this.fieldContext.createImageData(episode.nColumns, episode.nRows);
    this.camera = { zoom: 1, x: episode.nColumns / 2, y: episode.nRows / 2 };
    this.makePaths();
  }

  makePaths() {
    const { episode } = this, { nRows, nColumns } = episode;
    [this.walls, this.nest, this.nestEdge] = [new Path2D(), new Path2D(), new Path2D()];
    const isNest = (row, column) =>
      row >= 0 && row < nRows && column >= 0 && column < nColumns && episode.gridBit("nest", row, column);
    for (let row = 0; row < nRows; row++) {
      const top = nRows - 1 - row;
      for (let column = 0, first = 0; column < nColumns; column++) {
        if (isNest(row, column)) {
          this.nest.rect(column - 0.01, top - 0.01, 1.02, 1.02);
          const sides = [[1, 0, 0, 0, 1, 0], [-1, 0, 0, 1, 1, 1], [0, -1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 1]];
          for (const [up, right, x1, y1, x2, y2] of sides) {
            if (isNest(row + up, column + right)) continue;
            this.nestEdge.moveTo(column + x1, top + y1);
            this.nestEdge.lineTo(column + x2, top + y2);
          }
        }
        if (!episode.gridBit("walls", row, column)) first = column + 1;
        else if (column + 1 === nColumns || !episode.gridBit("walls", row, column + 1)) {
          this.walls.rect(first, top - 0.01, column + 1 - first, 1.02);
        }
      }
    }
  }

  column(x) { return x - this.episode.xMin + 0.5; }
  row(y) { return this.episode.yMax - y + 0.5; }

  /** Size of a patch on the page, in pixels of the page. */
  get scale() {
    const { nColumns, nRows } = this.episode, { width, height } = this.size;
    return Math.min((width - 4) / nColumns, (height - 4) / nRows) * this.camera.zoom;
  }

  /** Place of a body on the canvas, in pixels of the page. */
  placeOf(body) {
    const { width, height } = this.size, { scale, camera } = this;
    return {
      x: (this.column(body.x) - camera.x) * scale + width / 2,
      y: (this.row(body.y) - camera.y) * scale + height / 2,
    };
  }

  /** The ants near a place on the canvas, the nearest first. */
  antsAt(x, y, time) {
    const reach = Math.max(16, 1.4 * this.scale), near = [];
    for (let ant = 0; ant < this.episode.nAnts; ant++) {
      const place = this.placeOf(this.episode.body(ant, time));
      const distance = Math.hypot(place.x - x, place.y - y);
      if (distance <= reach) near.push({ ant, distance });
    }
    return near.sort((a, b) => a.distance - b.distance || a.ant - b.ant);
  }

  /** Glide towards the ant that is followed, or back to the whole arena; returns whether it is still on the way. */
  moveCamera(target) {
    const { camera, episode } = this;
    const { nRows, nColumns } = episode, zoom = Math.max(1, Math.max(nRows, nColumns) / FOLLOWED_PATCHES);
    const goal = target
      ? { zoom, x: this.column(target.x), y: this.row(target.y) }
      : { zoom: 1, x: nColumns / 2, y: nRows / 2 };
    let isMoving = false;
    for (const key of ["zoom", "x", "y"]) {
      const change = goal[key] - camera[key];
      isMoving ||= Math.abs(change) > 0.002;
      camera[key] = Math.abs(change) > 0.002 ? camera[key] + 0.16 * change : goal[key];
    }
    return isMoving;
  }

  draw(view) {
    this.size = fitCanvas(this.canvas);
    const { context, episode, colours, camera } = this, { width, height, ratio } = this.size;
    const scale = this.scale * ratio, tick = Math.floor(view.time);
    const [left, top] = [(width * ratio) / 2 - camera.x * scale, (height * ratio) / 2 - camera.y * scale];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(scale, 0, 0, scale, left, top);
    this.pixel = ratio / scale;
    context.fillStyle = rgba(colours.ground);
    context.fillRect(0, 0, episode.nColumns, episode.nRows);
    if (view.layers.pheromone) this.drawPheromone(view.time);
    if (view.layers.nest) this.drawNest();
    if (view.layers.food) this.drawFood(tick);
    context.fillStyle = rgba(colours.wall);
    context.fill(this.walls);
    if (view.layers.trails) this.drawTrails(tick, view);
    if (view.layers.deposits) this.drawDeposits(view.time);
    if (view.layers.senses && view.selected >= 0) this.drawSenses(view.selected, tick, view.time);
    if (view.layers.ants) this.drawAnts(view);
  }

  drawPheromone(time) {
    const { episode, image, shades, context } = this, { nRows, nColumns } = episode;
    const tick = Math.floor(time), index = episode.fieldIndex(tick);
    const isNew = index > 0 && episode.arrays.pheromone_tick[index] === tick && nRows * nColumns <= SMOOTH_PATCHES;
    const share = isNew ? time - tick : 1;
    if (this.shownField !== index + share) {
      const now = episode.field(index), before = isNew ? episode.field(index - 1) : now;
      for (let row = 0, i = 0; row < nRows; row++) {
        let out = 4 * (nRows - 1 - row) * nColumns;
        for (let column = 0; column < nColumns; column++, i++, out += 4) {
          const level = 4 * Math.round(before[i] + share * (now[i] - before[i]));
          for (let k = 0; k < 4; k++) image.data[out + k] = shades[level + k];
        }
      }
      this.fieldContext.putImageData(image, 0, 0);
      this.shownField = index + share;
    }
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.field, 0, 0, nColumns, nRows);
  }

  drawNest() {
    const { context, colours } = this;
    context.fillStyle = rgba(colours.nest, 0.72);
    context.fill(this.nest);
    context.strokeStyle = rgba(colours["nest-edge"]);
    context.lineWidth = Math.max(1.5 * this.pixel, 0.12);
    context.lineCap = "round";
    context.stroke(this.nestEdge);
  }

  drawFood(tick) {
    const { context, episode, colours, world } = this, { nColumns, nRows } = episode;
    const units = episode.food(tick);
    for (let i = 0; i < units.length; i++) {
      if (units[i] === 0) continue;
      const share = Math.min(units[i] / world.capacity, 1), half = 0.24 + 0.2 * share;
      const x = (i % nColumns) + 0.5, y = nRows - 1 - Math.floor(i / nColumns) + 0.5;
      context.fillStyle = rgba(colours.food, 0.6 + 0.4 * share);
      context.beginPath();
      context.roundRect(x - half, y - half, 2 * half, 2 * half, 0.16);
      context.fill();
    }
  }

  /** The last ways of all ants, yellow where they carried food; the older the fainter. */
  drawTrails(tick, { time, selected }) {
    const { context, episode, colours } = this, { x, y } = episode.arrays;
    const length = Math.min(TRAIL_TICKS, tick), nParts = 6;
    context.lineCap = "butt";
    context.lineJoin = "round";
    for (let part = 0; part < nParts; part++) {
      const from = tick - Math.round((length * (nParts - part)) / nParts);
      const to = tick - Math.round((length * (nParts - part - 1)) / nParts);
      for (const isLoaded of [false, true]) {
        for (const isChosen of selected >= 0 ? [false, true] : [false]) {
          context.beginPath();
          for (let ant = 0; ant < episode.nAnts; ant++) {
            if ((ant === selected) !== isChosen) continue;
            const start = ant * (episode.nTicks + 1);
            for (let t = from; t < to; t++) {
              if (episode.isCarrying(ant, t) !== isLoaded) continue;
              context.moveTo(this.column(x[start + t]), this.row(y[start + t]));
              context.lineTo(this.column(x[start + t + 1]), this.row(y[start + t + 1]));
            }
            if (to === tick && time > tick && episode.isCarrying(ant, tick) === isLoaded) {
              const body = episode.body(ant, time);
              context.moveTo(this.column(x[start + tick]), this.row(y[start + tick]));
              context.lineTo(this.column(body.x), this.row(body.y));
            }
          }
          const strength = (part + 1) / nParts;
          context.strokeStyle = rgba(isLoaded ? colours.loaded : colours.ant, (isChosen ? 0.95 : 0.5) * strength);
          context.lineWidth = isChosen ? Math.max(0.26, 2 * this.pixel) : Math.max(0.16, 1.2 * this.pixel);
          context.stroke();
        }
      }
    }
  }

  /** A ring that spreads and fades where pheromone was left. */
  drawDeposits(time) {
    const { context, episode, ramp } = this, { x, y } = episode.arrays, tick = Math.floor(time);
    for (let t = Math.max(0, tick - PULSE_TICKS); t < Math.min(tick + 1, episode.nTicks); t++) {
      const age = (time - t) / (PULSE_TICKS + 1);
      context.strokeStyle = rgba(ramp[3], 0.9 * (1 - age) ** 1.5);
      context.lineWidth = Math.max(0.16 * (1 - age), this.pixel);
      context.beginPath();
      for (let ant = 0; ant < episode.nAnts; ant++) {
        if (!episode.isDepositing(ant, t)) continue;
        const i = ant * (episode.nTicks + 1) + t + 1;
        const radius = 0.5 + 1.5 * Math.sqrt(age);
        context.moveTo(this.column(x[i]) + radius, this.row(y[i]));
        context.arc(this.column(x[i]), this.row(y[i]), radius, 0, 2 * Math.PI);
      }
      context.stroke();
    }
  }

  /** What the chosen ant looks at and smells: its ray, and the three points of pheromone and nest scent. */
  drawSenses(ant, tick, time) {
    const { context, episode, colours, ramp, world } = this;
    const body = episode.body(ant, time), angle = (body.heading * Math.PI) / 180;
    const isOn = (sensor) => episode.isSensing(ant, sensor, tick);
    context.save();
    context.translate(this.column(body.x), this.row(body.y));
    context.rotate(angle);
    context.setLineDash([0.35, 0.3]);
    context.lineWidth = Math.max(0.13, 1.2 * this.pixel);
    context.strokeStyle = isOn(1) ? rgba(colours.food) : isOn(0) ? "#fff" : rgba(colours.text, 0.45);
    context.beginPath();
    context.moveTo(0, -0.9);
    context.lineTo(0, -world.view);
    context.stroke();
    context.setLineDash([]);
    for (const [k, side] of [-1, 0, 1].entries()) {
      const x = side * Math.SQRT1_2, y = -1 - (side ? Math.SQRT1_2 : 1);
      context.beginPath();
      context.arc(x, y, 0.3, 0, 2 * Math.PI);
      context.fillStyle = isOn(2 + k) ? rgba(ramp[2]) : rgba(colours.outline, 0.6);
      context.fill();
      context.strokeStyle = isOn(7 + k) ? rgba(colours["nest-edge"]) : rgba(colours.text, 0.3);
      context.lineWidth = isOn(7 + k) ? 0.16 : this.pixel;
      context.stroke();
    }
    context.restore();
  }

  drawAnts({ time, selected, hovered }) {
    const { episode, context, colours } = this, tick = Math.floor(time);
    const unit = Math.max(ANT_LENGTH, SMALLEST_ANT * this.pixel) / 2.4;
    const order = [...Array(episode.nAnts).keys()].filter((ant) => ant !== selected);
    if (selected >= 0) order.push(selected);
    for (const ant of order) {
      const body = episode.body(ant, time), deeds = episode.deeds(ant, tick);
      context.save();
      context.translate(this.column(body.x), this.row(body.y));
      if (ant === selected || ant === hovered) {
        context.beginPath();
        context.arc(0, 0, 1.55 * unit, 0, 2 * Math.PI);
        context.fillStyle = rgba([255, 255, 255], ant === selected ? 0.13 : 0.08);
        context.fill();
        context.strokeStyle = rgba([255, 255, 255], ant === selected ? 0.95 : 0.5);
        context.lineWidth = Math.max(0.11, 1.3 * this.pixel);
        context.stroke();
      }
      context.rotate((body.heading * Math.PI) / 180);
      context.scale(unit, unit);
      const stride = deeds && (deeds.move || deeds.left || deeds.right) ? Math.sin((time + ant * 0.37) * 2.4) : 0;
      this.drawAnt(colours[episode.isCarrying(ant, tick) ? "loaded" : "ant"], episode.isCarrying(ant, tick), stride);
      context.restore();
    }
  }

  /** One ant with the centre of its body at the origin. */
  drawAnt(colour, isLoaded, stride) {
    const { context, colours } = this;
    const limbs = new Path2D();
    for (const side of [-1, 1]) {
      for (const [k, [from, to]] of [[-0.42, -0.85], [-0.25, -0.12], [-0.08, 0.55]].entries()) {
        const swing = 0.16 * stride * (k === 1 ? -side : side);
        limbs.moveTo(side * 0.12, from);
        limbs.quadraticCurveTo(side * 0.52, (from + to) / 2 - 0.12, side * 0.74, to + swing);
      }
      limbs.moveTo(side * 0.08, -0.95);
      limbs.quadraticCurveTo(side * 0.2, -1.25, side * 0.42, -1.38);
    }
    context.lineCap = "round";
    context.strokeStyle = rgba(colours.outline, 0.85);
    context.lineWidth = 0.2;
    context.stroke(limbs);
    context.stroke(BODY);
    context.strokeStyle = rgba(colour);
    context.lineWidth = 0.09;
    context.stroke(limbs);
    context.fillStyle = rgba(colour);
    context.fill(BODY);
    if (!isLoaded) return;
    context.beginPath();
    context.roundRect(-0.27, -1.5, 0.54, 0.54, 0.14);
    context.fillStyle = rgba(colours.food);
    context.fill();
    context.lineWidth = 0.09;
    context.strokeStyle = rgba(colours.outline);
    context.stroke();
  }
}
