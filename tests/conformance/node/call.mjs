// Calls one function of a recipe. In: {module, call, given} as JSON on standard input. Out: {answer} or {error} as JSON.
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'

const asked = JSON.parse(await text(process.stdin))
try {
  const recipe = await import(pathToFileURL(asked.module))
  console.log(JSON.stringify({ answer: await recipe[asked.call](asked.given) }))
} catch (error) {
  console.log(JSON.stringify({ error: `${error.stack} ${error.error ?? ''} ${error.status ?? ''}` }))
}
