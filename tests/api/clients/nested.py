"""As published guides for Python write it: a class around requests, values read under `data`.

python nested.py BASE_URL CLIENT_ID KEY
"""

import json
import sys

import requests


class SmsClient:
    def __init__(self, base_url, client_id, api_key):
        self.base_url = f"{base_url}/api/{client_id}"
        self.client_id = int(client_id)
        self.session = requests.Session()
        self.session.headers.update({"X-API-Key": api_key, "Content-Type": "application/json"})

    def _request(self, method, path, **kwargs):
        response = self.session.request(method, f"{self.base_url}/{path}", **kwargs)
        result = response.json()
        if response.status_code == 200:
            return result
        raise Exception(f"{result.get('error_code')}: {result.get('message')}")

    def send(self, recipient, sender, body):
        payload = {
            "client_id": self.client_id,
            "channel": "sms",
            "recipient": recipient,
            "sender": sender,
            "body": body,
        }
        return self._request("POST", "messages/send", json=payload)["data"]

    def send_bulk(self, recipients, message, sender_id):
        payload = {"recipients": recipients, "message": message, "sender_id": sender_id}
        return self._request("POST", "sms/send", json=payload)["data"]

    def balance(self):
        return self._request("GET", "client/balance")["data"]

    def status(self, message_id):
        return self._request("GET", f"sms/status/{message_id}")

    def history(self):
        return self._request("GET", "sms/history", params={"page": 1, "per_page": 10, "status": "all"})


client = SmsClient(*sys.argv[1:4])
balance = client.balance()
sent = client.send("254712345678", "HOSPITAL", "Your appointment is tomorrow")
bulk = client.send_bulk(["254723456789"], "Hello", "HOSPITAL")
state = client.status(sent["message_id"])
history = client.history()
try:
    client.send("12", "HOSPITAL", "x")
    refused = ""
except Exception as error:
    refused = str(error)
sys.stdout.write(
    json.dumps(
        {
            "balance": balance["balance"],
            "id": sent["id"],
            "status": sent["status"],
            "sent": bulk["sent"],
            "state": state["status"],
            "total": history["meta"]["total"],
            "refused": refused,
        }
    )
)
