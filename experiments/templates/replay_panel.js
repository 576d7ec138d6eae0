// The numbers, the layer switches and the panel of the chosen ant: plain elements, changed only when they differ.

const byId = (id) => document.getElementById(id);

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const SENSOR_GROUPS = [
  ["sees", [["wall", 0], ["food", 1]]],
  ["smells trail", [["←", 2, "left"], ["↑", 3, "ahead"], ["→", 4, "right"]]],
  ["smells nest", [["←", 7, "left"], ["↑", 8, "ahead"], ["→", 9, "right"]]],
  ["feels", [["wall", 5], ["food", 6], ["nest", 10]]],
];

class AntPanel {
  constructor(episode, header) {
    [this.episode, this.header, this.hues] = [episode, header, hues(header)];
    this.makeSensors();
    this.makeMotors();
  }

  makeSensors() {
    this.lamps = [];
    for (const [group, lamps] of SENSOR_GROUPS) {
      const row = element("div");
      for (const [text, sensor, side = text] of lamps) {
        const title = `${group} ${side}: sensor ${sensor}, ${this.header.brain.sensors[sensor]}`;
        const lamp = element("b", { textContent: text, title });
        this.lamps[sensor] = lamp;
        row.append(lamp);
      }
      byId("sensors").append(element("span", { textContent: group }), row);
    }
  }

  makeMotors() {
    this.bars = this.header.brain.motors.map((name, k) => {
      const label = element("span", { textContent: name, title: `Motor neuron ${name}: spikes in this tick` });
      label.style.color = rgba(this.hues.motors[k]);
      const fill = element("i"), count = element("span", { className: "count" });
      fill.style.background = rgba(this.hues.motors[k]);
      byId("motors").append(label, element("div", { className: "bar" }, fill), count);
      return { fill, count };
    });
  }

  show(ant, tick) {
    const { episode } = this, isOver = tick >= episode.nTicks;
    for (const [sensor, lamp] of this.lamps.entries()) {
      const isActive = episode.isSensing(ant, sensor, tick);
      if (lamp.classList.toggle("is-active", isActive) !== this.wasActive?.[sensor]) {
        lamp.style.background = isActive ? rgba(this.hues.sensors[sensor]) : "";
        lamp.setAttribute("aria-label", `${lamp.title}, ${isActive ? "active" : "silent"}`);
      }
    }
    this.wasActive = this.lamps.map((lamp) => lamp.classList.contains("is-active"));
    const counts = isOver ? this.bars.map(() => 0) : episode.motorCounts(ant, tick);
    for (const [k, { fill, count }] of this.bars.entries()) {
      fill.style.width = `${Math.min(100, (100 * counts[k]) / (episode.stepsPerTick / 2))}%`;
      setText(count, String(counts[k]));
    }
    setText(byId("deeds"), this.sentence(ant, tick));
    byId("load").hidden = !episode.isCarrying(ant, tick);
  }

  /** What an ant does in a tick, in words. */
  sentence(ant, tick) {
    if (tick >= this.episode.nTicks) return "The episode is over.";
    const deeds = this.episode.deeds(ant, tick);
    if (!deeds) return "Waits in the nest.";
    const words = [];
    if (deeds.left) words.push("turns left");
    if (deeds.right) words.push("turns right");
    if (deeds.move) words.push("walks");
    if (deeds.deposit) words.push("leaves pheromone");
    const text = words.length ? words.join(", ") : "stands still";
    const transient = tick === 0 && this.episode.hasTransient ? " In the first tick all sensors fire." : "";
    return `${text[0].toUpperCase()}${text.slice(1)}.${transient}`;
  }
}

const LAYERS = [
  ["ants", "ants", "ant"],
  ["trails", "paths"],
  ["food", "food", "food"],
  ["nest", "nest", "nest"],
  ["senses", "senses"],
  ["deposits", "deposits"],
  ["pheromone", "pheromone"],
];

/** Switches of the layers, which are the legend, too. */
function makeLayers(header, layers, onChange) {
  const { ant, loaded, text: white } = header.colours, ramp = header.trail.slice(0, 4).map((colour) => rgba(colour));
  const special = {
    trails: { height: "3px", background: `linear-gradient(90deg, transparent, ${rgba(ant)} 50%, ${rgba(loaded)} 50%)` },
    senses: { height: "0", borderTop: `2px dashed ${rgba(white)}`, borderRadius: "0" },
    deposits: { border: `2px solid ${rgba(header.trail[2])}`, borderRadius: "50%" },
    pheromone: { background: `linear-gradient(90deg, ${ramp.join()})` },
  };
  for (const [name, text, colour] of LAYERS) {
    layers[name] = true;
    const swatch = element("i");
    Object.assign(swatch.style, colour ? { background: rgba(header.colours[colour]) } : special[name]);
    const button = element("button", { type: "button", id: `layer-${name}`, title: `Show or hide: ${text}` },
      swatch, element("b", { textContent: text }), element("span", { className: "switch" }));
    button.setAttribute("role", "switch");
    button.setAttribute("aria-checked", "true");
    button.addEventListener("click", () => {
      layers[name] = !layers[name];
      button.setAttribute("aria-checked", String(layers[name]));
      onChange();
    });
    byId("layers").append(button);
  }
  byId("layers").append(makeScale(header));
}

/** The colours of the pheromone with their numbers. */
function makeScale(header) {
  const bar = element("canvas", { width: 255, height: 1 }), shades = pheromoneShades(header.trail);
  const context = bar.getContext("2d"), image = context.createImageData(255, 1);
  image.data.set(shades.subarray(4));
  context.putImageData(image, 0, 0);
  bar.style.backgroundColor = rgba(header.colours.ground);
  const scale = element("div", { className: "scale", title: "Pheromone on a patch, logarithmic" }, bar);
  for (let decade = 0; decade <= header.world.decades; decade++) {
    const number = Number((header.world.least_pheromone * 10 ** decade).toPrecision(3));
    scale.append(element("span", { textContent: String(number) }));
  }
  return scale;
}
