/** A program that says what it is, then repeats what it hears. */
import * as readline from "node:readline"

const [name] = process.argv.slice(2)

console.log(JSON.stringify({ name, mood: process.env["MOOD"] }))
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === '"fail"') throw new Error("told to fail")
  console.log(line)
})
