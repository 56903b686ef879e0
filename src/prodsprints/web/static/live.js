// Keeps the page true while it is open: swaps the regions that the server renders anew, and follows the live logs.
// Without it every page is complete; it only ages until it is loaded again.
(() => {
  const MOST_LINES = 2000;
  const MIN_PAUSE_MS = 700;
  const regions = () => document.querySelectorAll("[data-live][id]");
  const served = new Map();
  for (const region of regions()) served.set(region.id, region.outerHTML);

  let waiting = null;
  let running = false;

  function refreshSoon(delay = MIN_PAUSE_MS) {
    if (waiting === null && !running) waiting = setTimeout(refresh, delay);
  }

  async function refresh() {
    waiting = null;
    if (document.hidden) return;
    running = true;
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (response.ok) swap(new DOMParser().parseFromString(await response.text(), "text/html"));
    } catch {
      // the server is being restarted: the next round finds it
    } finally {
      running = false;
    }
  }

  function swap(fresh) {
    document.title = fresh.title;
    for (const region of regions()) {
      const next = fresh.getElementById(region.id);
      if (!next) {
        region.remove();
        continue;
      }
      // never under somebody's hands: a question that is open stays open
      if (served.get(region.id) === next.outerHTML || region.querySelector("details.confirm[open]")) continue;
      served.set(region.id, next.outerHTML);
      const focused = region.contains(document.activeElement) ? selectorOf(document.activeElement) : null;
      for (const open of region.querySelectorAll("details[id][open]")) next.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
      region.replaceWith(next);
      if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
    }
    if (!fresh.body.dataset.refresh) delete document.body.dataset.refresh;
  }

  function selectorOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const href = element.getAttribute("href");
    return href ? `a[href="${CSS.escape(href)}"]` : null;
  }

  function keepUp(element, add) {
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    add();
    if (atEnd) element.scrollTop = element.scrollHeight;
  }

  function line(event) {
    const item = document.createElement("li");
    item.className = event.kind;
    const time = document.createElement("time");
    time.dateTime = event.at;
    time.textContent = event.at.slice(11, 19);
    const step = document.createElement("span");
    step.className = "log-step";
    step.textContent = event.step;
    const text = document.createElement("span");
    text.className = "log-text";
    text.textContent = event.message;
    item.append(time, step, text);
    return item;
  }

  const log = document.querySelector("[data-events]");
  if (log && !("ended" in log.dataset)) {
    const source = new EventSource(`${log.dataset.events}?after=${log.dataset.after}`);
    source.addEventListener("log", (message) => {
      const event = JSON.parse(message.data);
      keepUp(log, () => {
        log.append(line(event));
        while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
      });
      if (event.kind !== "line") refreshSoon();
    });
    source.addEventListener("end", () => {
      source.close();
      refreshSoon(0);
    });
  }
  if (log) log.scrollTop = log.scrollHeight;

  const followed = document.querySelector("[data-follow]");
  if (followed) {
    const source = new EventSource(followed.dataset.follow);
    source.addEventListener("drill", () => refreshSoon());
    source.addEventListener("end", () => {
      source.close();
      refreshSoon(0);
    });
  }

  const output = document.querySelector("[data-stream]");
  if (output) {
    const source = new EventSource(`${output.dataset.stream}?after=${encodeURIComponent(output.dataset.after)}`);
    source.addEventListener("log", (message) => {
      keepUp(output, () => output.append(JSON.parse(message.data).text));
    });
    output.scrollTop = output.scrollHeight;
  }

  setInterval(() => {
    if (document.body.dataset.refresh) refreshSoon(0);
  }, Number(document.body.dataset.refresh) || 3000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && document.body.dataset.refresh) refreshSoon(0);
  });
})();
