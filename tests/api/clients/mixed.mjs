// As published guides for Node write it: response.status === 200, some values under data and some beside it.
// node mixed.mjs BASE_URL CLIENT_ID KEY
const [base, clientId, key] = process.argv.slice(2);

async function request(method, path, body) {
  const response = await fetch(`${base}/api/${clientId}/${path}`, {
    method,
    headers: { "X-API-KEY": key, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const result = await response.json();
  if (response.status === 200 && result) return result;
  throw new Error(`${result.error_code}: ${result.message}`);
}

const balance = await request("GET", "client/balance");
const sent = await request("POST", "messages/send", {
  client_id: Number(clientId), channel: "sms", recipient: "254712345678", sender: "HOSPITAL", body: "Your appointment is tomorrow",
});
const bulk = await request("POST", "sms/send", { recipients: ["254723456789"], message: "Hello", sender_id: "HOSPITAL" });
const state = await request("GET", `sms/status/${sent.message_id}`);
const history = await request("GET", "sms/history?page=1&per_page=10");
let refused = "";
try {
  await request("POST", "messages/send", { channel: "sms", recipient: "12", sender: "HOSPITAL", body: "x" });
} catch (error) {
  refused = error.message;
}
console.log(JSON.stringify({
  balance: balance.data.balance, id: sent.data.id, status: sent.status, sent: bulk.sent, state: state.status,
  total: history.meta.total, refused,
}));
