/** A program that says what it is, then repeats what it hears. */
import * as readline from "node:readline"

const [name] = process.argv.slice(2)

console.log(JSON.stringify({ name, mood: process.env["MOOD"] }))
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === '"fail"') throw new Error("told to fail")
  if (line === '"burst"') return void setTimeout(burst, 200)
  console.log(line)
})

/** Says much, and is killed. */
const burst = () => {
  for (let n = 0; n < 100; n++) console.log(JSON.stringify(n))
  process.kill(process.pid, "SIGKILL")
}
