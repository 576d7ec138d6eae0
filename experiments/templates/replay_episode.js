// The recording: unpacked once, then looked up by ant and tick.

/** Bytes of the compressed stream; the codings are those of experiments/replay_data.py. */
async function inflate(text) {
  if (!("DecompressionStream" in window && "roundRect" in CanvasRenderingContext2D.prototype)) {
    throw new Error("This browser cannot show the recording. Firefox 113, Chrome 99, Safari 16.4 and later can.");
  }
  try {
    const packed = Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Error("The recording in this file is damaged or cut off. Make the page again, or copy it again.");
  }
}

/** Typed arrays by name, from the header's list and the inflated stream. */
function unpack(entries, content) {
  const arrays = {};
  let start = 0;
  for (const { name, coding, shape, unit } of entries) {
    const last = shape.at(-1);
    const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const width = { bits: Math.ceil(last / 8), levels: last, numbers: 4 * last }[coding];
    const part = content.subarray(start, (start += rows * width));
    if (part.length !== rows * width) throw new Error(`The recording is damaged: ${name} is incomplete.`);
    if (coding === "bits") arrays[name] = part;
    else arrays[name] = coding === "levels" ? unpackLevels(part, rows, last) : unpackNumbers(part, last, unit);
  }
  if (start !== content.length) throw new Error("The recording is damaged: it is longer than its header says.");
  return arrays;
}

function unpackNumbers(part, last, unit) {
  const n = part.length / 4;
  const values = new Float64Array(n);
  for (let i = 0, whole = 0; i < n; i++) {
    const code = part[i] + 256 * (part[n + i] + 256 * (part[2 * n + i] + 256 * part[3 * n + i]));
    if (i % last === 0) whole = 0;
    whole += code % 2 ? -(code + 1) / 2 : code / 2;
    values[i] = whole * unit;
  }
  return values;
}

/** Levels come patch by patch, and are wanted field by field. */
function unpackLevels(part, rows, last) {
  const fields = new Uint8Array(part.length);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let k = 0, level = 0; k < last; k++) fields[k * rows + row] = level = (level + part[i++]) & 255;
  }
  return fields;
}

/** Index of the last entry of an ascending array that is <= value; -1 if none is. */
function lastUpTo(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

class Episode {
  constructor(header, arrays) {
    this.arrays = arrays;
    this.nAnts = header.world.n_ants;
    this.nTicks = header.world.n_ticks;
    [this.xMin, this.xMax, this.yMin, this.yMax] = header.world.arena;
    this.nColumns = this.xMax - this.xMin + 1;
    this.nRows = this.yMax - this.yMin + 1;
    this.nSensors = header.brain.sensors.length;
    this.nHidden = header.brain.n_hidden;
    this.nMotors = header.brain.motors.length;
    this.nNeurons = this.nHidden + this.nMotors;
    this.stepsPerTick = Math.round(header.brain.tick_ms / header.brain.step_ms);
    this.hasTransient = header.brain.has_startup_transient;
    this.departureInterval = header.world.departure_interval;
    this.units = new Float64Array(arrays.food);
    this.foodTick = 0;
    this.nChanges = 0;
    this.countDeliveries();
  }

  /** How many units each ant has brought home so far: it lets go of food nowhere else. */
  countDeliveries() {
    const width = this.nTicks + 1;
    this.deliveries = new Uint32Array(this.nAnts * width);
    this.nLoaded = new Uint32Array(width);
    for (let ant = 0; ant < this.nAnts; ant++) {
      for (let tick = 0, sum = 0, before = false; tick < width; tick++) {
        const is = this.isCarrying(ant, tick);
        if (before && !is) sum++;
        this.nLoaded[tick] += is;
        this.deliveries[ant * width + tick] = sum;
        before = is;
      }
    }
  }

  bit(name, row, width, index) {
    return (this.arrays[name][row * Math.ceil(width / 8) + (index >> 3)] >> (7 - (index & 7))) & 1;
  }

  isCarrying(ant, tick) { return this.bit("is_carrying", ant, this.nTicks + 1, tick) === 1; }

  delivered(ant, tick) { return this.deliveries[ant * (this.nTicks + 1) + tick]; }

  /** Place in patches and heading in degrees; between two ticks on the way from one to the other. */
  body(ant, time) {
    const tick = Math.min(Math.floor(time), this.nTicks), share = time - tick;
    const i = ant * (this.nTicks + 1) + tick;
    const { x, y, heading } = this.arrays;
    if (share === 0 || tick === this.nTicks) return { x: x[i], y: y[i], heading: heading[i] };
    const turn = ((heading[i + 1] - heading[i] + 540) % 360) - 180;
    const between = (values) => values[i] + share * (values[i + 1] - values[i]);
    return { x: between(x), y: between(y), heading: heading[i] + share * turn };
  }

  isSensing(ant, sensor, tick) {
    return tick < this.nTicks && this.bit("obs", ant * this.nSensors + sensor, this.nTicks, tick) === 1;
  }

  /** Whether the neuron of a sensor is driven: in the first tick all may be, as in the published program. */
  isDriven(ant, sensor, tick) { return (tick === 0 && this.hasTransient) || this.isSensing(ant, sensor, tick); }

  /** What an ant does in a tick: left, right, move and deposit; null if it has not left yet, or at the end. */
  deeds(ant, tick) {
    if (tick >= this.nTicks || ant * this.departureInterval > tick) return null;
    const does = (part) => this.bit("actions", 4 * ant + part, this.nTicks, tick) === 1;
    return { left: does(0), right: does(1), move: does(2), deposit: does(3) };
  }

  isDepositing(ant, tick) {
    return ant * this.departureInterval <= tick && this.bit("actions", 4 * ant + 3, this.nTicks, tick) === 1;
  }

  /** Steps, first < step <= last, in which a neuron fired; hidden neurons come first, then the motor neurons. */
  spikeSteps(ant, neuron, first = 0, last = this.nTicks * this.stepsPerTick) {
    const nSteps = this.nTicks * this.stepsPerTick, row = ant * this.nNeurons + neuron;
    const start = row * Math.ceil(nSteps / 8), packed = this.arrays.spikes, steps = [];
    for (let i = Math.max(first, 0); i < Math.min(last, nSteps); i++) {
      const byte = packed[start + (i >> 3)];
      if (byte === 0) i |= 7;
      else if ((byte >> (7 - (i & 7))) & 1) steps.push(i + 1);
    }
    return steps;
  }

  /** Spikes of the motor neurons in a tick. */
  motorCounts(ant, tick) {
    const first = tick * this.stepsPerTick;
    const count = (motor) => this.spikeSteps(ant, this.nHidden + motor, first, first + this.stepsPerTick).length;
    return Array.from({ length: this.nMotors }, (_, motor) => count(motor));
  }

  fieldIndex(tick) { return lastUpTo(this.arrays.pheromone_tick, tick); }

  /** Levels of a field, row by row from the lowest y. */
  field(index) {
    const size = this.nRows * this.nColumns;
    return this.arrays.pheromone.subarray(index * size, (index + 1) * size);
  }

  /** Units on every patch at a tick; one array, changed in place. */
  food(tick) {
    const { food, food_tick: ticks, food_patch: patches, food_units: units } = this.arrays;
    if (tick < this.foodTick) {
      this.units.set(food);
      this.nChanges = 0;
    }
    for (; this.nChanges < ticks.length && ticks[this.nChanges] <= tick; this.nChanges++) {
      this.units[patches[this.nChanges]] = units[this.nChanges];
    }
    this.foodTick = tick;
    return this.units;
  }

  gridBit(name, row, column) { return this.bit(name, row, this.nColumns, column); }
}
