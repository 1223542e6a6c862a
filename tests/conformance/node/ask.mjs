// One client, one question, asked with openid-client as its documentation shows: what came back, or which error.
// In:  {issuer, client_id, jwk | secret, ask, parameters, token} as JSON on standard input. Out: JSON.
import { text } from 'node:stream/consumers'
import * as client from 'openid-client'

const asked = JSON.parse(await text(process.stdin))

async function authentication() {
  if (asked.secret) return client.ClientSecretBasic(asked.secret)
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const key = await crypto.subtle.importKey('jwk', asked.jwk, algorithm, false, ['sign'])
  return client.PrivateKeyJwt({ key, kid: asked.jwk.kid })
}

const questions = {
  metadata: (config) => config.serverMetadata(),
  clientCredentials: (config) => client.clientCredentialsGrant(config, asked.parameters),
  grant: (config) => client.genericGrantRequest(config, asked.grant_type, asked.parameters),
  introspection: (config) => client.tokenIntrospection(config, asked.token),
  revocation: (config) => client.tokenRevocation(config, asked.token),
}

async function answer() {
  const plainHttp = { execute: [client.allowInsecureRequests], ...(asked.algorithm && { algorithm: asked.algorithm }) }
  const issuer = new URL(asked.issuer)
  const config = await client.discovery(issuer, asked.client_id, undefined, await authentication(), plainHttp)
  return questions[asked.ask](config)
}

try {
  console.log(JSON.stringify({ answer: (await answer()) ?? null }))
} catch (error) {
  const challenge = Array.isArray(error.cause) ? error.cause[0]?.scheme : undefined
  console.log(JSON.stringify({ kind: error.constructor.name, error: error.error, code: error.code, status: error.status, challenge, message: error.message }))
}
