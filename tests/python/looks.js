// What a reader would call broken, for each element that `selector` finds: {displays, problems}. Run in the page by jupyterlab.py.
(selector) => {
  const problems = [];
  const say = (root, text) => problems.push(`display ${root.dataset.position}: ${text}`);

  // Colours: [red, green, blue, opacity], 0 to 255 and 0 to 1.
  const parse = (text) => {
    const numbers = (text.match(/-?[\d.]+(e-?\d+)?/g) || []).map(Number);
    if (text.startsWith("color(srgb")) return [numbers[0] * 255, numbers[1] * 255, numbers[2] * 255, numbers[3] ?? 1];
    return numbers.length >= 3 ? [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1] : [0, 0, 0, 0];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  // In a drawing the text may stand on a filled rectangle.
  const behindInDrawing = (text, drawing) => {
    const box = text.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
    let colour = behind(drawing.parentElement);
    for (const shape of drawing.querySelectorAll("rect, circle")) {
      if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
      const r = shape.getBoundingClientRect(), style = getComputedStyle(shape);
      if (style.fill === "none" || x < r.left || x > r.right || y < r.top || y > r.bottom) continue;
      const fill = parse(style.fill);
      colour = over([fill[0], fill[1], fill[2], fill[3] * style.fillOpacity * style.opacity], colour);
    }
    return colour;
  };

  const outermost = (svg) => { while (svg.ownerSVGElement) svg = svg.ownerSVGElement; return svg; };
  const shown = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 0;

  const texts = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const bad = new Map();
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      // Pictures drawn with block characters are no text.
      const element = node.parentElement, words = node.textContent.replace(/[\u2580-\u259f]/g, "").trim();
      if (!words || !shown(element) || ["TITLE", "DESC", "STYLE", "SCRIPT"].includes(element.tagName.toUpperCase())) continue;
      const drawing = element instanceof SVGElement ? outermost(element.ownerSVGElement) : null;
      const style = getComputedStyle(element);
      const ground = drawing ? behindInDrawing(element, drawing) : behind(element);
      const ratio = contrast(over(parse(drawing ? style.fill : style.color), ground), ground);
      const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      if (ratio < (large ? 3 : 4.5)) {
        const key = `contrast ${ratio.toFixed(1)}, ${drawing ? style.fill : style.color} on ${ground.slice(0, 3).map(Math.round)}`;
        bad.set(key, (bad.get(key) || []).concat(words.slice(0, 24)));
      }
    }
    for (const [key, words] of bad) say(root, `${key}: ${words.length} texts, first "${words[0]}"`);
  };

  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const clipped = (root) => {
    for (const element of [root, ...root.querySelectorAll("*")]) {
      if (!(element instanceof HTMLElement) || !shown(element)) continue;
      // A blank at the end of a wrapped line is nothing to see.
      if (!element.textContent.trim() && !element.querySelector("img, svg") && element.tagName !== "IMG") continue;
      const style = getComputedStyle(element);
      if (["hidden", "clip"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1)
        say(root, `${element.tagName} cut at ${element.clientWidth} of ${element.scrollWidth} px`);
      const box = element.getBoundingClientRect();
      let holder = element;
      while (holder !== root && !scrolls(holder)) holder = holder.parentElement;
      if (!scrolls(holder) && box.right > root.getBoundingClientRect().right + 1)
        say(root, `${element.tagName} sticks out by ${Math.round(box.right - root.getBoundingClientRect().right)} px`);
    }
    for (const text of root.querySelectorAll("svg text")) {
      const box = text.getBoundingClientRect(), frame = outermost(text.ownerSVGElement).getBoundingClientRect();
      const beside = box.left < frame.left - 1.5 || box.right > frame.right + 1.5;
      if (box.width && (beside || box.top < frame.top - 1.5 || box.bottom > frame.bottom + 1.5))
        say(root, `the text "${text.textContent.trim().slice(0, 40)}" leaves its figure`);
    }
  };

  const roots = [...document.querySelectorAll(selector)];
  let drawings = 0, images = 0, tables = 0, scrolling = 0;
  roots.forEach((root, position) => {
    root.dataset.position = position + 1;
    const box = root.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) return say(root, "is not visible");
    for (const image of root.querySelectorAll("img")) {
      if (!image.complete || !image.naturalWidth) say(root, "an image is not loaded");
      else if (image.getBoundingClientRect().width < 2) say(root, "an image is not visible");
      // A column or row of one image that is squeezed is not readable: 25 % of its own width is the least.
      else if (image.getBoundingClientRect().width < 0.25 * image.naturalWidth)
        say(root, "an image is squeezed below a quarter of its size");
    }
    drawings += [...root.querySelectorAll("svg")].filter((svg) => !svg.ownerSVGElement).length;
    images += root.querySelectorAll("img").length;
    tables += root.querySelectorAll("table").length;
    const boxes = [root, ...root.querySelectorAll("*")].filter((e) => e instanceof HTMLElement && scrolls(e));
    scrolling += boxes.some((e) => e.scrollWidth > e.clientWidth + 1);
    texts(root);
    clipped(root);
  });
  return {displays: roots.length, drawings, images, tables, scrolling, problems};
}
