// Sends through a gateway as any program that uses @atproto/api does, and prints what
// it got as one JSON document. Arguments: the gateway's address, a tenant's key.
import api from '@atproto/api'

const { AppBskyEmbedRecord, AtpAgent, RichText } = api
const [service, key] = process.argv.slice(2)
const out = {}

// failed is how the client sees an error.
const failed = async (call) => {
  try {
    await call()
  } catch (e) {
    return { status: e.status, error: e.error, message: e.message, batch: e.headers?.['volley-batch-id'] }
  }
  return null
}

out.badLogin = await failed(() => new AtpAgent({ service }).login({ identifier: 'bot.example.com', password: 'nobody' }))

const agent = new AtpAgent({ service })
await agent.login({ identifier: 'bot.example.com', password: key })
out.session = { did: agent.session.did, handle: agent.session.handle }
out.getSession = (await agent.com.atproto.server.getSession()).data

const chat = agent.withProxy('bsky_chat', 'did:web:api.bsky.chat').chat.bsky.convo
const json = (headers) => ({ encoding: 'application/json', headers })
const text = new RichText({ text: 'See https://example.com' })
text.detectFacetsWithoutResolution()
const record = { uri: 'at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3k4duaz5vfs2b', cid: 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' }
const items = [
  { convoId: 'c1', message: { text: 'Hello 👋' } },
  { convoId: 'c2', message: { text: text.text, facets: text.facets } },
  { convoId: 'c3', message: { text: '', embed: { $type: 'app.bsky.embed.record', record } } },
]

const batch = await chat.sendMessageBatch({ items }, json({ 'idempotency-key': 'k' }))
out.batch = { data: batch.data, id: batch.headers['volley-batch-id'] }
out.embed = AppBskyEmbedRecord.isView(batch.data.items[2].embed) && AppBskyEmbedRecord.validateView(batch.data.items[2].embed).success
const again = await chat.sendMessageBatch({ items }, json({ 'idempotency-key': 'k' }))
out.again = { data: again.data, id: again.headers['volley-batch-id'] }
out.one = (await chat.sendMessage(items[0], json({}))).data
// An hour and more later the access token has run out, which the client does not show.
out.later = (await chat.sendMessage(items[0], json({ 'x-later': '3h' }))).data

out.conflict = await failed(() => chat.sendMessageBatch({ items: [] }, json({ 'idempotency-key': 'k' })))
out.partial = await failed(() => chat.sendMessageBatch({ items: [items[0], { convoId: 'nobody', message: { text: 'x' } }] }, json({})))
out.empty = (await chat.sendMessageBatch({ items: [] }, json({}))).data
out.unknown = await failed(() => chat.listConvos())

// A session whose key is replaced: the client learns that it is over.
const events = []
const old = new AtpAgent({ service, persistSession: (event) => events.push(event) })
await old.login({ identifier: 'bot.example.com', password: key })
const oldChat = old.withProxy('bsky_chat', 'did:web:api.bsky.chat').chat.bsky.convo
out.replaced = await failed(() => oldChat.sendMessage(items[0], json({ 'x-new-key': 'yes' })))
out.events = events
out.session.left = old.hasSession

console.log(JSON.stringify(out))
