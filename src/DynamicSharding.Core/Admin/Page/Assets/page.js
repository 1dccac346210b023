
// The page is whole without this. With it, the same page is fetched again every few seconds and its parts are put in place,
// and the lookup answers while somebody types. Nothing that came over the wire is made into markup by other means than the page itself.
"use strict";
(() => {
  const pause = 5000;
  const lookup = document.getElementById("lookup");
  const whatIf = document.getElementById("whatif");
  const asked = new URLSearchParams(location.search);
  let newest = 0;
  let stopped = false;

  const line = document.createElement("p");
  line.className = "live";
  const said = document.createElement("span");
  const toggle = document.createElement("button");
  toggle.type = "button";
  line.append(said, toggle);

  const say = (text) => {
    said.textContent = text;
    toggle.textContent = stopped ? "Resume" : "Pause";
    // The header is one of the parts that are replaced.
    document.querySelector(".title").append(line);
  };

  // Somebody reads, copies or uses this part right now.
  const isInUse = (part) => {
    const selection = getSelection();
    return part.contains(document.activeElement) && document.activeElement !== toggle
      || !selection.isCollapsed && part.contains(selection.anchorNode);
  };

  const put = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (!next || isInUse(part)) continue;
      line.remove();
      if (part.innerHTML === next.innerHTML) continue;
      for (const open of part.querySelectorAll("details[open]")) next.querySelector("#" + open.id)?.setAttribute("open", "");
      const result = part.querySelector("output")?.textContent;
      part.replaceChildren(...next.childNodes);
      if (result) part.querySelector("output").textContent = result;
    }
    document.title = fresh.title;
  };

  const refresh = async () => {
    const mine = ++newest;
    const hadFocus = document.activeElement === toggle;
    try {
      const query = asked.toString();
      const reply = await fetch(query ? "?" + query : "?", { headers: { Accept: "text/html" } });
      if (!reply.ok) throw new Error(reply.status);
      const html = await reply.text();
      if (mine !== newest) return;
      put(html);
      say(stopped ? "Paused" : "Live");
    } catch {
      if (mine === newest) say("No answer since " + new Date().toLocaleTimeString());
    }
    if (hadFocus) toggle.focus();
  };

  const ask = (form, names) => {
    for (const name of names) {
      const value = form.elements[name].value.trim();
      if (value) asked.set(name, value); else asked.delete(name);
    }
    history.replaceState(null, "", asked.size ? "?" + asked : location.pathname);
    return refresh();
  };

  let typing;
  lookup.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => ask(lookup, ["q"]), 150);
  });
  lookup.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    ask(lookup, ["q"]);
  });
  whatIf.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(whatIf, ["add", "remove"]);
  });
  document.addEventListener("submit", async (event) => {
    if (event.target.id !== "reload") return;
    event.preventDefault();
    const output = document.getElementById("reloaded");
    output.textContent = "";
    try {
      const reply = await fetch("-/reload", { method: "POST" });
      const text = (await reply.text()).trim();
      output.textContent = reply.ok ? text.replace(/^OK/, "Read and applied.") : text;
    } catch {
      output.textContent = "No answer.";
    }
    event.target.querySelector("button").blur();
    refresh();
  });
  toggle.addEventListener("click", () => {
    stopped = !stopped;
    if (stopped) say("Paused"); else refresh();
    toggle.focus();
  });

  say("Live");
  setInterval(() => { if (!stopped && !document.hidden) refresh(); }, pause);
})();
