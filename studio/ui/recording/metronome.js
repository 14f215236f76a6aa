// Beats and a take on one audio clock. Times that leave here are seconds since 1970 of the moment a sound left the
// speaker, as well as the browser knows it; what it doesn't know is what Measure delay finds.
const metronomes = new WeakMap();
const AHEAD = 0.2; // seconds of beats that are scheduled before they sound
const CLICKS = 4, APART = 0.8; // of the measurement

class Metronome {
  constructor(root) {
    this.box = element("div", { class: "metronome", role: "group" });
    this.toggle = element("button", { type: "button", "aria-pressed": "false" });
    this.lights = element("span", { class: "lights", "aria-hidden": "true" });
    this.beat = element("span");
    this.punch = element("button", { type: "button", "aria-pressed": "false" });
    this.from = element("input", { type: "number", min: "0", step: "0.1", value: "0" });
    this.fromWords = element("span");
    this.fromLabel = element("label", {}, this.fromWords, this.from);
    this.clicks = element("input", { type: "checkbox" });
    this.clicksWords = element("span");
    this.clicksLabel = element("label", {}, this.clicks, this.clicksWords);
    this.measure = element("button", { type: "button" });
    this.status = element("output", { "aria-live": "polite" });
    this.box.append(this.toggle, this.lights, this.beat, this.punch, this.fromLabel, this.clicksLabel, this.measure, this.status);
    root.replaceChildren(this.box);
    this.root = root;
    this.toggle.onclick = () => (this.running ? this.stop() : this.start());
    this.punch.onclick = () => (this.source ? this.stop() : this.play());
    this.measure.onclick = () => this.click();
  }

  update(data, emit) {
    if (this.data && (data.bpm !== this.data.bpm || data.beats !== this.data.beats || data.take?.url.split("?")[0] !== this.data.take?.url.split("?")[0])) this.stop();
    this.data = data;
    this.emit = emit;
    const words = data.words;
    this.box.setAttribute("aria-label", words.label);
    this.beat.textContent = words.beat;
    this.fromWords.textContent = words.from;
    this.clicksWords.textContent = words.clicks;
    this.measure.textContent = words.measure;
    this.punch.hidden = this.fromLabel.hidden = this.clicksLabel.hidden = !data.take;
    if (data.take) this.from.max = data.take.seconds.toFixed(1);
    if (this.lights.children.length !== data.beats) {
      this.lights.replaceChildren(...Array.from({ length: data.beats }, () => element("i")));
    }
    this.show();
  }

  show() {
    const words = this.data.words;
    this.toggle.textContent = this.running ? words.stop : words.start;
    this.toggle.setAttribute("aria-pressed", String(Boolean(this.running)));
    this.punch.textContent = this.source ? words.halt : words.punch;
    this.punch.setAttribute("aria-pressed", String(Boolean(this.source)));
  }

  async ready() {
    this.context ??= new AudioContext();
    await this.context.resume();
    return this.context;
  }

  // When a moment of the context's clock is heard.
  heard(time) {
    const stamp = this.context.getOutputTimestamp?.();
    const latency = stamp?.performanceTime ? 0 : this.context.outputLatency || this.context.baseLatency || 0;
    const now = stamp?.performanceTime ? stamp : { contextTime: this.context.currentTime, performanceTime: performance.now() };
    return (performance.timeOrigin + now.performanceTime) / 1000 + (time - now.contextTime) + latency;
  }

  tick(time, strong) {
    const sound = this.context.createOscillator(), gain = this.context.createGain();
    sound.frequency.value = strong ? 1760 : 1175;
    gain.gain.setValueAtTime(strong ? 0.6 : 0.35, time);
    gain.gain.exponentialRampToValueAtTime(0.001, time + 0.05);
    sound.connect(gain).connect(this.context.destination);
    sound.start(time);
    sound.stop(time + 0.06);
  }

  async start() {
    await this.ready();
    this.run(this.context.currentTime + 0.1);
    this.show();
  }

  // Beats from `first` on; `last` beats only, or until it is stopped.
  run(first, last = Infinity) {
    const beat = 60 / this.data.bpm;
    let next = 0;
    const plan = () => {
      for (; next < last && first + next * beat < this.context.currentTime + AHEAD; next++) {
        const time = first + next * beat, place = next % this.data.beats;
        this.tick(time, place === 0);
        setTimeout(() => this.light(place), Math.max(0, 1000 * (time - this.context.currentTime)));
      }
      if (next < last) return;
      this.halt();
      this.show();
    };
    this.halt();
    this.running = setInterval(plan, 50);
    plan();
  }

  halt() {
    clearInterval(this.running);
    this.running = undefined;
  }

  light(place) { [...this.lights.children].forEach((light, index) => light.classList.toggle("now", index === place)); }

  async play() {
    const { take, beats, bpm, words } = this.data, start = this.from.valueAsNumber;
    if (!(start >= 0 && start < take.seconds)) {
      this.status.textContent = words.beyond;
      return;
    }
    try {
      await this.ready();
      if (this.loaded !== take.url.split("?")[0]) {
        const answer = await fetch(take.url);
        if (!answer.ok) throw new Error(take.name);
        this.buffer = await this.context.decodeAudioData(await answer.arrayBuffer());
        this.loaded = take.url.split("?")[0];
      }
    } catch (error) {
      this.status.textContent = `${words.failed} ${error.message}`;
      return;
    }
    const first = this.context.currentTime + 0.15, begins = first + beats * (60 / bpm);
    this.source = this.context.createBufferSource();
    this.source.buffer = this.buffer;
    this.source.connect(this.context.destination);
    this.source.start(begins, start);
    this.source.onended = () => this.stop();
    this.run(first, this.clicks.checked ? Infinity : beats);
    this.status.textContent = words.counting;
    this.show();
    this.waiting = setTimeout(() => {
      this.status.textContent = `${words.playing}: ${take.name}`;
      this.emit("punched", { at: this.heard(begins), from: start });
    }, 1000 * (begins - this.context.currentTime) + 100);
  }

  stop() {
    clearTimeout(this.waiting);
    this.halt();
    if (this.source) {
      this.source.onended = null;
      this.source.stop();
      this.source.disconnect();
      this.source = undefined;
    }
    this.light(-1);
    this.status.textContent = "";
    this.show();
  }

  async click() {
    this.stop();
    await this.ready();
    this.status.textContent = this.data.words.listening;
    this.measure.disabled = true;
    const first = this.context.currentTime + 0.3, times = Array.from({ length: CLICKS }, (_, index) => first + index * APART);
    times.forEach((time) => this.tick(time, true));
    setTimeout(() => {
      this.measure.disabled = false;
      this.status.textContent = "";
      this.emit("clicked", times.map((time) => this.heard(time)));
    }, 1000 * (times.at(-1) - this.context.currentTime) + 1200);
  }

  close() {
    this.stop();
    this.context?.close();
    metronomes.delete(this.root);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".studio-metronome");
  if (!metronomes.has(root)) metronomes.set(root, new Metronome(root));
  const metronome = metronomes.get(root);
  metronome.update(data, setTriggerValue);
  return () => setTimeout(() => root.isConnected || metronome.close());
}
