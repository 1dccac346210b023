
// The page works without this script. With it, the page is fetched again every few seconds and its parts are replaced, and the lookup
// responds while you type. All markup comes from the page itself.
"use strict";
(() => {
  const interval = 5000;
  const lookup = document.getElementById("lookup");
  const simulate = document.getElementById("simulate");
  const query = new URLSearchParams(location.search);
  let newest = 0;
  let stopped = false;

  const status = document.createElement("p");
  status.className = "live";
  const message = document.createElement("span");
  const toggle = document.createElement("button");
  toggle.type = "button";
  status.append(message, toggle);

  const show = (text) => {
    message.textContent = text;
    toggle.textContent = stopped ? "Resume" : "Pause";
    // A refresh replaces the header, too.
    document.querySelector(".title").append(status);
  };

  // Someone is selecting text or using a control in this part.
  const isInUse = (part) => {
    const selection = getSelection();
    return part.contains(document.activeElement) && document.activeElement !== toggle
      || !selection.isCollapsed && part.contains(selection.anchorNode);
  };

  const replaceParts = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (!next || isInUse(part)) continue;
      status.remove();
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
      const response = await fetch("?" + query, { headers: { Accept: "text/html" } });
      if (!response.ok) throw new Error(response.status);
      const html = await response.text();
      if (mine !== newest) return;
      replaceParts(html);
      show(stopped ? "Paused" : "Live");
    } catch {
      if (mine === newest) show("No response at " + new Date().toLocaleTimeString());
    }
    if (hadFocus) toggle.focus();
  };

  const submit = (form, names) => {
    for (const name of names) {
      const value = form.elements[name].value.trim();
      if (value) query.set(name, value); else query.delete(name);
    }
    history.replaceState(null, "", query.size ? "?" + query : location.pathname);
    return refresh();
  };

  let typing;
  lookup.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => submit(lookup, ["q"]), 150);
  });
  lookup.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    submit(lookup, ["q"]);
  });
  simulate.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(simulate, ["add", "remove"]);
  });
  document.addEventListener("submit", async (event) => {
    if (event.target.id !== "reload") return;
    event.preventDefault();
    const output = document.getElementById("reloaded");
    output.textContent = "";
    try {
      const response = await fetch("-/reload", { method: "POST" });
      const text = (await response.text()).trim();
      output.textContent = response.ok ? text.replace(/^OK/, "Configuration reloaded.") : text;
    } catch {
      output.textContent = "No response.";
    }
    event.target.querySelector("button").blur();
    refresh();
  });
  toggle.addEventListener("click", () => {
    stopped = !stopped;
    if (stopped) show("Paused"); else refresh();
    toggle.focus();
  });

  show("Live");
  setInterval(() => { if (!stopped && !document.hidden) refresh(); }, interval);
})();
