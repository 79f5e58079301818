// Says what Bluesky's own validator thinks of the inputs of sendMessageBatch in a file, a
// JSON array: the message of the error of each, or null, as one JSON array.
// Argument: the file.
import { readFileSync } from 'node:fs'
import lexicons from '@atproto/api/dist/client/lexicons.js'

const inputs = JSON.parse(readFileSync(process.argv[2], 'utf8'))
console.log(JSON.stringify(inputs.map((input) => {
  try {
    lexicons.lexicons.assertValidXrpcInput('chat.bsky.convo.sendMessageBatch', input)
  } catch (e) {
    return e.message
  }
  return null
})))
