/* Asks for the state every second, and shows it. */
const byId = (id) => document.getElementById(id)
const svgNamespace = "http://www.w3.org/2000/svg"

const element = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}
const drawing = (tag, attributes, ...children) => {
  const made = document.createElementNS(svgNamespace, tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

const formatted = ({ unit, value }) => {
  if (value === undefined || value === null) return "–"
  const text = value.toLocaleString("en", { maximumFractionDigits: unit === "%" ? 1 : 0 })
  return unit === "" ? text : `${text} ${unit}`
}

/** The values of the last two minutes, by card and figure. */
const courses = new Map()
const length = 120
const courseOf = (key, value) => {
  const course = [...(courses.get(key) ?? []), value ?? 0].slice(-length)
  courses.set(key, course)
  const most = Math.max(...course, 1)
  const points = course.map((each, index) => `${length - course.length + index},${25 - (each / most) * 23}`).join(" ")
  const line = drawing("polyline", { points })
  return drawing("svg", { class: "course", viewBox: `0 0 ${length} 26`, preserveAspectRatio: "none" }, line)
}

const cardOf = ({ figures, kind, level, name, state }) => {
  const title = element(
    "h2",
    {},
    name,
    element("small", { textContent: kind }),
    element("span", { className: `state ${level}`, textContent: state })
  )
  const list = element("dl", {})
  for (const figure of figures) {
    list.append(
      element("dt", { textContent: figure.name }),
      element("dd", { textContent: formatted(figure), title: `${name} ${figure.name}` })
    )
    if (figure.drawn) list.append(courseOf(`${name} ${figure.name}`, figure.value))
  }
  const card = element("article", {}, title, list)
  card.dataset.card = name
  return card
}

const timeOf = (iso) => new Date(iso).toLocaleTimeString("en", { hour12: false })

const firingOf = ({ condition, numbers, severity, since, subject, summary, told }) =>
  element(
    "li",
    { className: severity },
    element("strong", { textContent: `${severity.toUpperCase()} ${condition}: ${subject}` }),
    element("div", { textContent: numbers === "" ? summary : `${summary} (${numbers})` }),
    element("small", { textContent: `since ${timeOf(since)}${told.length === 0 ? "" : `, told ${told.join(", ")}`}` })
  )

const latestOf = ({ condition, severity, since, state, subject }) =>
  element(
    "li",
    {},
    `${state === "firing" ? "fired" : "over"}: ${severity} ${condition}, ${subject} `,
    element("small", { textContent: `since ${timeOf(since)}` })
  )

/** A badge at the upper right corner of a node. */
const badge = (node, { level, text }) => {
  node.querySelector(".badge")?.remove()
  const { width, x, y } = node.firstElementChild.getBBox()
  const wide = text.length * 7 + 12
  const right = x + width + 8
  const label = drawing("text", { x: right - wide / 2, y: y + 5, "text-anchor": "middle" }, text)
  const ground = drawing("rect", { x: right - wide, y: y - 9, width: wide, height: 19, rx: 9 })
  node.append(drawing("g", { class: `badge ${level}` }, ground, label))
}

const nodes = Array.from(document.querySelectorAll("[data-node]"))
const badges = (given) => {
  for (const node of nodes) {
    const found = given.find((each) => each.node !== "" && node.dataset.node.startsWith(each.node))
    if (found === undefined) node.querySelector(".badge")?.remove()
    else badge(node, found)
  }
}

const show = (state) => {
  byId("phase").textContent = `provider: ${state.phase.name}, ${state.phase.story}`
  const pace = state.speed === 1 ? "" : `, ${state.speed} times as fast`
  byId("clock").textContent = `${Math.round(state.seconds)} s${pace}`
  byId("health").textContent = state.health
  const calm = element("li", { className: "calm", textContent: "None is firing" })
  byId("firing").replaceChildren(...(state.firing.length === 0 ? [calm] : state.firing.map(firingOf)))
  byId("latest").replaceChildren(...state.latest.map(latestOf))
  byId("cards").replaceChildren(...state.cards.map(cardOf))
  badges(state.badges)
}

const gone = () => {
  document.body.classList.add("gone")
  byId("phase").textContent = "the demo has ended, or cannot be reached"
}

const ask = async () => {
  try {
    const response = await fetch("/state")
    show(await response.json())
    document.body.classList.remove("gone")
  } catch {
    gone()
  }
  setTimeout(ask, 1000)
}

ask()
