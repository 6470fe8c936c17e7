// What a page does: ask for all flags, follow the event stream, print what it has whenever that changes. One JSON object a line.
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';

const [url, token] = process.argv.slice(2);
const provider = new OFREPWebProvider({ baseUrl: url, headers: [['Authorization', `Bearer ${token}`]], cacheMode: 'disabled' });
await OpenFeature.setContext({ targetingKey: 'user-1' });
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();
const missing = client.getStringDetails('no-such-flag', 'default');
const say = (document) => console.log(JSON.stringify(document));
client.addHandler(ProviderEvents.ConfigurationChanged, (event) => {
  const details = client.getBooleanDetails('banner', false);
  say({ banner: details.value, reason: details.reason, changed: event?.flagsChanged });
});
// The stream opens in the background; a change before that is told when it does.
say({
  banner: client.getBooleanValue('banner', true),
  colour: client.getStringValue('colour', 'none'),
  missing: [missing.value, missing.errorCode],
});
setTimeout(() => process.exit(3), 30_000);
