// What is wrong with a page, whichever it is.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS;
const texts = (code) => JSON.parse(readFileSync(new URL(`../../templates/auth/locales/${code}.json`, import.meta.url), "utf8"));
const [english, korean] = [texts("en"), texts("ko")];
/** Texts that are no text of the other language. */
const foreign = {
  en: Object.values(korean).filter((text) => !Object.values(english).includes(text)),
  ko: Object.values(english).filter((text) => !Object.values(korean).includes(text)),
};

/** Everything that is wrong with the page that is shown, in words. */
export async function inspect(page, { name, locale }) {
  const wrong = await inspectWords(page, { name, locale });
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
  if (name.includes("mistake")) wrong.push(...await page.evaluate(explained));
  // One language is enough: the order of elements is the same in both.
  if (locale === "en") wrong.push(...await byKeyboard(page));
  await page.evaluate(axe);
  wrong.push(...await violations(page, { rules: { "target-size": { enabled: true } } }));
  if (shots) await shoot(page, `${locale}-light-1280`, name);
  // Colours are all that is different in the dark.
  await page.emulateMedia({ colorScheme: "dark" });
  wrong.push(...(await violations(page, { runOnly: ["color-contrast"] })).map((text) => `dark: ${text}`));
  if (shots) await shoot(page, `${locale}-dark-1280`, name);
  return wrong;
}

/** What is said on the page, and whether it fits on a small phone. */
export async function inspectWords(page, { name, locale }) {
  await page.setViewportSize({ width: 320, height: 640 });
  const wrong = await page.evaluate(outline, { locale, foreign: foreign[locale] });
  wrong.push(...await page.evaluate(tooWide));
  if (shots) await shoot(page, `${locale}-320`, name);
  return wrong;
}

const violations = async (page, options) => {
  const found = await page.evaluate(async (chosen) =>
    (await globalThis.axe.run(document, { ...chosen, resultTypes: ["violations"] })).violations, options);
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
};

/** In the page: landmarks, headings, and the language of what is said. */
function outline({ locale, foreign }) {
  const wrong = [];
  const one = (selector) => {
    const count = document.querySelectorAll(selector).length;
    if (count !== 1) wrong.push(`${count} of ${selector}`);
  };
  ["main", "header", "footer", "title", "a.skip[href='#main']"].forEach(one);
  const headings = [...document.querySelectorAll("h1")].filter((heading) => heading.checkVisibility());
  if (headings.length !== 1 || !headings[0].textContent.trim()) wrong.push(`${headings.length} of h1`);
  if (document.documentElement.lang !== locale) wrong.push(`is in ${document.documentElement.lang}`);
  const [title, site] = document.title.split(" · ");
  if (!title?.trim() || !site) wrong.push(`the title is ${document.title}`);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const parent = walker.currentNode.parentElement;
    if (!text || parent.closest("script, pre, code, [lang]:not(html)")) continue;
    if (foreign.includes(text)) wrong.push(`not translated: ${text}`);
    if (/^[a-z]+(_[A-Za-z]+)+$/.test(text)) wrong.push(`no text: ${text}`);
  }
  for (const { ariaLabel } of document.querySelectorAll("[aria-label]")) {
    if (foreign.includes(ariaLabel)) wrong.push(`not translated: ${ariaLabel}`);
  }
  return wrong;
}

/** In the page: each mistake is announced, leads to its field, and is told beside it. */
function explained() {
  const wrong = [];
  const links = [...document.querySelectorAll("[role=alert] a[href^='#']")];
  const fields = links.map((link) => document.getElementById(link.hash.slice(1)));
  for (const [index, field] of fields.entries()) {
    const whole = field?.closest(".wrong");
    const ids = whole && [whole, field].map((element) => element.getAttribute("aria-describedby") ?? "").join(" ").split(" ");
    const told = ids?.some((id) => document.getElementById(id)?.textContent === links[index].textContent);
    if (!told) wrong.push(`${links[index].hash} does not say what is wrong with it`);
  }
  if (links.length === 0 && !document.querySelector("[role=alert]")) wrong.push("says nothing about the mistake");
  return wrong;
}

/** In the page: what reaches beyond the right edge. */
function tooWide() {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const wrong = wide > 0 ? [`${wide} px too wide at 320 px`] : [];
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    const { right, width } = element.getBoundingClientRect();
    if (width > 0 && right > 320.5 && element.checkVisibility()) wrong.push(`cut off at 320 px: ${element.outerHTML.slice(0, 120)}`);
  }
  return wrong;
}

/** Tab goes through everything that can be used, in the order in which it is read, and shows where it is. */
async function byKeyboard(page) {
  const count = await page.evaluate(() => {
    document.activeElement?.blur();
    const usable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
    globalThis.usable = [...document.querySelectorAll(usable)].filter((element) => element.checkVisibility());
    return globalThis.usable.length;
  });
  const wrong = [];
  for (let expected = 0; expected < count; expected += 1) {
    await page.keyboard.press("Tab");
    const { found, html, outlined } = await page.evaluate(() => ({
      found: globalThis.usable.indexOf(document.activeElement),
      html: document.activeElement.outerHTML.slice(0, 120),
      outlined: getComputedStyle(document.activeElement).outlineStyle !== "none",
    }));
    if (found !== expected) return [...wrong, `Tab ${expected + 1} goes to number ${found + 1}: ${html}`];
    if (!outlined) wrong.push(`nothing shows the focus on ${html}`);
  }
  return wrong;
}

async function shoot(page, folder, name) {
  mkdirSync(join(shots, folder), { recursive: true });
  await page.screenshot({ path: join(shots, folder, `${name}.png`), fullPage: true });
}
