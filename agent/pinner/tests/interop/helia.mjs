// Fetches a file from a gateway with Helia, which checks every block, and writes it to its output.
//
//   node helia.mjs GATEWAY CID

import { trustlessGateway } from '@helia/block-brokers'
import { createHeliaHTTP } from '@helia/http'
import { httpGatewayRouting } from '@helia/routers'
import { unixfs } from '@helia/unixfs'
import { CID } from 'multiformats/cid'

// Node.js 20 lacks what one of the packages uses.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((...functions) => { [resolve, reject] = functions })
  return { promise, resolve, reject }
}

const [gateway, cid] = process.argv.slice(2)
const helia = await createHeliaHTTP({
  blockBrokers: [trustlessGateway({ allowInsecure: true, allowLocal: true })],
  routers: [httpGatewayRouting({ gateways: [gateway] })]
})
const signal = AbortSignal.timeout(60_000)
for await (const piece of unixfs(helia).cat(CID.parse(cid), { signal })) {
  process.stdout.write(piece)
}
await helia.stop()
