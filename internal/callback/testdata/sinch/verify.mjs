// Checks callbacks, [{"headers":{…},"body":"…"}] in a file, with Sinch's own code, and
// prints for each whether it is Sinch's and which trigger it is.
import { readFileSync } from 'node:fs'
import sinch from '@sinch/conversation'

const { ConversationCallbackWebhooks } = sinch

const [, , secret, file] = process.argv
const webhooks = new ConversationCallbackWebhooks(secret)
const seen = JSON.parse(readFileSync(file, 'utf8')).map(({ headers, body }) => ({
  valid: webhooks.validateAuthenticationHeader(headers, body),
  trigger: webhooks.parseEvent(body).trigger ?? '',
}))
console.log(JSON.stringify(seen))
