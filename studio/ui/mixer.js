// A song and its stems on one clock. Desk is the sound and knows no page; Mixer is what one sees of it.
const mixers = new WeakMap();
const SMOOTH = 0.01; // seconds a gain takes to change: a jump would click
const LEAD = 0.05; // seconds between asking for a start and its moment, the same for every track
const LEAST = -40; // dB; at the bottom of a fader nothing is heard

const factor = (decibels) => (decibels <= LEAST ? 0 : 10 ** (decibels / 20));

// Every track is a buffer source; all of them start at one moment of the context's clock and from one offset, so
// they can't come apart: there is nothing to keep in step.
export class Desk {
  constructor(context) {
    this.context = context;
    this.tracks = [];
    this.offset = 0;
    this.playing = false;
  }

  get duration() { return Math.max(0, ...this.tracks.map((track) => track.buffer.duration)); }

  get position() {
    if (!this.playing) return this.offset;
    return Math.min(this.duration, this.offset + Math.max(0, this.context.currentTime - this.startedAt));
  }

  add(buffer) {
    const gain = this.context.createGain();
    gain.connect(this.context.destination);
    this.tracks.push({ buffer, gain, level: 0, muted: false, solo: false });
    this.weigh(true);
    return this.tracks.length - 1;
  }

  heard(track) { return track.solo || (!track.muted && !this.tracks.some((other) => other.solo)); }

  set(index, changes) {
    Object.assign(this.tracks[index], changes);
    this.weigh(!this.playing);
  }

  weigh(atOnce = false) {
    for (const track of this.tracks) {
      const wanted = this.heard(track) ? factor(track.level) : 0, gain = track.gain.gain;
      if (atOnce) gain.setValueAtTime(wanted, this.context.currentTime);
      else gain.setTargetAtTime(wanted, this.context.currentTime, SMOOTH);
    }
  }

  play() {
    if (this.playing) return;
    if (this.offset >= this.duration) this.offset = 0;
    this.startedAt = this.context.currentTime + LEAD;
    for (const track of this.tracks) {
      track.source = this.context.createBufferSource();
      track.source.buffer = track.buffer;
      track.source.connect(track.gain);
      if (this.offset < track.buffer.duration) track.source.start(this.startedAt, this.offset);
    }
    this.playing = true;
  }

  pause() {
    if (!this.playing) return;
    this.offset = this.position;
    this.playing = false;
    for (const track of this.tracks) {
      track.source?.disconnect();
      track.source = undefined;
    }
  }

  seek(seconds) {
    const on = this.playing;
    this.pause();
    this.offset = Math.min(Math.max(0, seconds), this.duration);
    if (on) this.play();
  }
}

class Mixer {
  constructor(root) {
    this.root = root;
    this.rows = [];
    this.box = element("div", { class: "mixer", role: "group" });
    this.toggle_ = element("button", { type: "button", class: "play" }, "▶");
    this.place = element("input", { type: "range", class: "place", min: "0", step: "0.1", value: "0" });
    this.time = element("span", { class: "time" });
    this.list = element("div", { class: "tracks" });
    this.status = element("output", { class: "status", "aria-live": "polite" });
    this.bounce = element("button", { type: "button", class: "bounce" });
    this.box.append(element("div", { class: "top" }, this.toggle_, this.place, this.time), this.list,
      element("div", { class: "top" }, this.bounce, this.status));
    this.root.replaceChildren(this.box);
    this.toggle_.onclick = () => (this.desk?.playing ? this.pause() : this.play());
    this.place.oninput = () => { this.desk?.seek(Number(this.place.value)); this.show(); };
    this.bounce.onclick = () => this.send();
    this.box.onkeydown = (event) => this.key(event);
    this.others = (event) => event.detail !== this && this.pause();
    document.addEventListener(PLAYING, this.others);
  }

  close() {
    this.pause();
    document.removeEventListener(PLAYING, this.others);
    this.context?.close();
    mixers.delete(this.root);
  }

  update(data, emit) {
    const other = JSON.stringify(this.data?.tracks.map((track) => track.id)) !== JSON.stringify(data.tracks.map((track) => track.id));
    this.data = data;
    this.emit = emit;
    if (other) this.build();
    if (this.quiet !== undefined && data.quiet !== this.quiet) this.pause();
    this.quiet = data.quiet;
    const words = data.words;
    this.box.setAttribute("aria-label", words.label);
    this.place.setAttribute("aria-label", words.position);
    this.bounce.textContent = words.bounce;
    this.show();
  }

  build() {
    this.pause();
    this.context?.close();
    this.context = this.desk = undefined;
    this.rows = this.data.tracks.map((track) => this.row(track));
    this.list.replaceChildren(...this.rows.map((row) => row.line));
  }

  row(track) {
    const words = this.data.words, row = { id: track.id, level: 0, muted: track.muted, solo: false };
    const name = element("span", { class: "name" }, track.label);
    row.soloing = this.switch_(words.solo, track.label, () => this.change(row, { solo: !row.solo }));
    row.muting = this.switch_(words.mute, track.label, () => this.change(row, { muted: !row.muted }));
    row.fader = element("input", {
      type: "range", min: String(LEAST), max: "6", step: "0.5", value: "0", "aria-label": `${words.gain}: ${track.label}`,
    });
    row.said = element("span", { class: "gain" });
    row.fader.oninput = () => this.change(row, { level: Number(row.fader.value) });
    row.line = element("div", { class: "track", role: "group", "aria-label": track.label },
      name, row.soloing, row.muting, row.fader, row.said);
    return row;
  }

  switch_(word, label, act) {
    const button = element("button", { type: "button", "aria-label": `${word}: ${label}`, "aria-pressed": "false" }, word);
    button.onclick = act;
    return button;
  }

  change(row, changes) {
    Object.assign(row, changes);
    this.desk?.set(this.rows.indexOf(row), changes);
    this.show();
  }

  // Sound is fetched when it is first wanted: a page with ten stems must not load a gigabyte to be looked at.
  async load() {
    const context = new AudioContext(), desk = new Desk(context), rows = this.rows, words = this.data.words;
    this.status.textContent = words.loading;
    this.toggle_.disabled = true;
    try {
      const buffers = await Promise.all(this.data.tracks.map(async (track) => {
        const answer = await fetch(track.url);
        if (!answer.ok) throw new Error(track.label);
        return context.decodeAudioData(await answer.arrayBuffer());
      }));
      if (rows !== this.rows) return context.close(); // other tracks came meanwhile
      buffers.forEach((buffer, index) => {
        desk.add(buffer);
        desk.set(index, { level: rows[index].level, muted: rows[index].muted, solo: rows[index].solo });
      });
      [this.context, this.desk] = [context, desk];
      this.status.textContent = "";
    } catch (error) {
      context.close();
      this.status.textContent = `${words.failed} ${error.message}`;
    } finally {
      this.toggle_.disabled = false;
    }
  }

  async play() {
    if (!this.desk) await this.load();
    if (!this.desk) return;
    document.dispatchEvent(new CustomEvent(PLAYING, { detail: this }));
    await this.context.resume();
    this.desk.play();
    this.follow();
  }

  pause() {
    this.desk?.pause();
    if (this.data) this.show();
  }

  follow() {
    requestAnimationFrame(() => {
      if (!this.desk?.playing) return;
      if (this.desk.position >= this.desk.duration) {
        this.desk.pause();
        this.desk.seek(0);
      }
      this.show();
      this.follow();
    });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName !== "DIV") return;
    if (event.key !== " ") return;
    event.preventDefault();
    this.toggle_.click();
  }

  send() {
    const soloed = this.rows.some((row) => row.solo);
    const parts = this.rows.filter((row) => (row.solo || (!row.muted && !soloed)) && row.level > LEAST);
    if (!parts.length) {
      this.status.textContent = this.data.words.nothing;
      return;
    }
    this.status.textContent = "";
    this.emit("bounce", parts.map((row) => [row.id, row.level]));
  }

  show() {
    const words = this.data.words, length = this.desk?.duration ?? this.data.duration, now = this.desk?.position ?? 0;
    const playing = Boolean(this.desk?.playing), soloed = this.rows.some((row) => row.solo);
    this.toggle_.textContent = playing ? "❚❚" : "▶";
    this.toggle_.setAttribute("aria-label", playing ? words.pause : words.play);
    this.place.max = String(length);
    if (document.activeElement !== this.place || playing) this.place.value = String(now);
    this.place.setAttribute("aria-valuetext", `${clock(now)} / ${clock(length)}`);
    this.time.textContent = `${clock(now)} / ${clock(length)}`;
    for (const row of this.rows) {
      row.soloing.setAttribute("aria-pressed", String(row.solo));
      row.muting.setAttribute("aria-pressed", String(row.muted));
      row.fader.value = String(row.level);
      row.said.textContent = row.level <= LEAST ? "−∞ dB" : `${row.level > 0 ? "+" : ""}${row.level.toFixed(1).replace("-", "−")} dB`;
      row.line.classList.toggle("silent", !(row.solo || (!row.muted && !soloed)));
    }
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".studio-mixer");
  if (!mixers.has(root)) mixers.set(root, new Mixer(root));
  const mixer = mixers.get(root);
  mixer.update(data, setTriggerValue);
  return () => setTimeout(() => root.isConnected || mixer.close());
}
