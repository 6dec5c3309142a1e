// SPDX-FileCopyrightText: The OneHop authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Fetches the page anew and takes over what differs. Focus stays where it is, and only a change of
// a state is announced.
"use strict";
(() => {
  const period = Number(document.documentElement.dataset.refresh) * 1000;
  const find = (id) => document.getElementById(id);
  const button = find("pause");
  let paused = false;
  let asking = false;
  let timer = 0;

  function follow(old, fresh) {
    if (old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes])
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes)
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const here = [...old.childNodes];
    const there = [...fresh.childNodes];
    there.forEach((one, at) => (at < here.length ? follow(here[at], one) : old.append(one)));
    here.slice(there.length).forEach((one) => one.remove());
  }

  function states() {
    const found = new Map();
    for (const one of find("page").querySelectorAll("[data-of]"))
      found.set(one.dataset.of, one.textContent);
    return found;
  }

  function take(fresh) {
    const before = states();
    follow(find("page"), fresh.getElementById("page"));
    follow(find("age"), fresh.getElementById("age"));
    document.title = fresh.title;
    find("lost").hidden = true;
    const news = [];
    for (const [what, state] of states())
      if (before.get(what) !== state) news.push(`${what}: ${state}`);
    if (news.length) find("said").textContent = news.slice(0, 5).join(", ");
  }

  function lose(status) {
    const why = [401, 404].includes(status) ? "The router does not take the key any more" : "No answer from the router";
    const banner = find("lost");
    if (!banner.hidden && banner.textContent.startsWith(why)) return;
    banner.textContent = `${why}; what is shown is ${find("age").textContent}. Trying again.`;
    banner.hidden = false;
    find("said").textContent = why;
  }

  function ask() {
    clearTimeout(timer);
    if (paused || asking || document.hidden) return;
    asking = true;
    const request = new XMLHttpRequest();
    request.open("GET", location.pathname);
    request.responseType = "document";
    request.timeout = Math.max(2 * period, 5000);
    request.onloadend = () => {
      asking = false;
      const fresh = request.status === 200 && request.response;
      if (fresh && fresh.getElementById("page")) take(fresh);
      else lose(request.status);
      later();
    };
    request.send();
  }

  function later() {
    clearTimeout(timer);
    if (!paused) timer = setTimeout(ask, period);
  }

  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    if (!paused) ask();
  });
  document.addEventListener("visibilitychange", ask);
  find("controls").hidden = false;
  later();
})();
