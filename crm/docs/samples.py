"""The same call in five languages. The key always comes from the environment; tests run what is printed here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from crm.docs.reference import Endpoint

KEY_VARIABLE = "TARISHI_API_KEY"
LANGUAGES = {"curl": "curl", "php": "PHP", "python": "Python", "node": "Node", "powershell": "PowerShell"}
_PATH_VALUES = {"message_id": "MSG-000123", "transaction_id": "TXN-20251009-001"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose samples these are. key_hint: the visible ends of a key, or ""; sender: an approved sender ID."""

    base_url: str
    client_id: int
    key_hint: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    language: str
    label: str
    code: str


def samples_of(endpoint: Endpoint, caller: Caller, values: Mapping[str, Any] | None = None) -> list[Sample]:
    """`values` fill the ids in the path; without them the samples show plausible ones."""
    url = caller.base_url + endpoint.path.format_map(_Values(caller.client_id, values or {}))
    body = _body(endpoint, caller)
    write = {"curl": _curl, "php": _php, "python": _python, "node": _node, "powershell": _powershell}
    found = []
    for language, label in LANGUAGES.items():
        code = write[language](endpoint.method, url, body, endpoint.upload)
        if endpoint.waits:
            code = _patient(code, language)
        found.append(Sample(language, label, _hinted(code, language, caller.key_hint)))
    return found


def body_text(endpoint: Endpoint, caller: Caller) -> str:
    """The body of the samples as JSON; "" where the call has none."""
    body = _body(endpoint, caller)
    return "" if body is None else _json(body)


def _body(endpoint: Endpoint, caller: Caller) -> dict[str, Any] | None:
    body = endpoint.example
    if body and caller.sender:
        body = {name: caller.sender if name in ("sender", "sender_id") else value for name, value in body.items()}
    return body


_WAIT = "its recipients are still being counted"
_NODE_WAIT = (
    "// While it answers 409 with Retry-After, {why}.\nlet response;\ndo {{\n"
    '  if (response) await new Promise((wake) => setTimeout(wake, 1000 * response.headers.get("Retry-After")));\n'
    '  response = {call}}} while (response.status === 409 && response.headers.has("Retry-After"));\n'
)
_PHP_WAIT = (
    "while (true) {\n    $body = json_decode(curl_exec($call));\n"
    "    $wait = curl_getinfo($call, CURLINFO_RETRY_AFTER);\n"
    "    if (curl_getinfo($call, CURLINFO_RESPONSE_CODE) !== 409 || $wait === 0) {\n        break;\n    }\n"
    "    sleep($wait); // {why}\n}\n"
)


def _patient(code: str, language: str) -> str:
    """A sample that makes its call again while the answer is 409 with Retry-After."""
    if language == "python":
        before, call, after = _cut(code, "response = ", "body = ")
        return (
            f"{before.replace('import os', 'import os' + chr(10) + 'import time')}while True:\n{indent(call, '    ')}"
            '    if response.status_code != 409 or "Retry-After" not in response.headers:\n        break\n'
            f'    time.sleep(int(response.headers["Retry-After"]))  # {_WAIT}\n{after}'
        )
    if language == "node":
        before, call, after = _cut(code, "const response = ", "const body = ")
        call = indent(call.removeprefix("const response = "), "  ").lstrip()
        return before + _NODE_WAIT.format(why=_WAIT, call=call) + after
    if language == "php":
        before, _call, after = _cut(code, "$body = ", "if (")
        return before + _PHP_WAIT.replace("{why}", _WAIT) + after
    return f"# 409 with Retry-After: {_WAIT}. Wait for so many seconds, then make the same call again.\n{code}"


def _cut(code: str, first: str, next_: str) -> tuple[str, str, str]:
    """Before the statement that begins with `first`, that statement, and from `next_` on."""
    start, end = code.index(first), code.index(next_)
    return code[:start], code[start:end], code[end:]


class _Values(dict):
    """Fills {contact_id} and the like."""

    def __init__(self, client_id: int, values: Mapping[str, Any]) -> None:
        super().__init__({"client_id": client_id} | _PATH_VALUES | dict(values))

    def __missing__(self, name: str) -> str:
        return "1"


def _hinted(code: str, language: str, key_hint: str) -> str:
    """A first line that says which key belongs into the environment."""
    if not key_hint:
        return code
    mark = "//" if language in ("php", "node") else "#"
    line = f"{mark} {KEY_VARIABLE}: your key {key_hint}"
    return code.replace("<?php\n", f"<?php\n{line}\n", 1) if language == "php" else f"{line}\n{code}"


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def _curl(method: str, url: str, body: Mapping[str, Any] | None, upload: bool) -> str:
    lines = [f'curl -X {method} "{url}"', f'-H "X-API-Key: ${KEY_VARIABLE}"']
    if upload:
        lines += ['-F "file=@contacts.csv"', '-F "duplicates=update"']
    elif body is not None:
        quoted = _json(body).replace("'", "'\\''")
        lines += ['-H "Content-Type: application/json"', f"-d '{quoted}'"]
    return " \\\n  ".join(lines)


def _python(method: str, url: str, body: Mapping[str, Any] | None, upload: bool) -> str:
    given = ""
    if upload:
        given = '    files={"file": open("contacts.csv", "rb")},\n    data={"duplicates": "update"},\n'
    elif body is not None:
        given = f"    json={_python_value(body)},\n"
    return (
        "import os\n\nimport requests\n\n"
        f'response = requests.{method.lower()}(\n    "{url}",\n'
        f'    headers={{"X-API-Key": os.environ["{KEY_VARIABLE}"]}},\n{given}    timeout=30,\n)\n'
        "body = response.json()\n"
        "if response.status_code != 200:\n"
        "    raise SystemExit(f\"{body['error_code']}: {body['message']}\")\n"
        'print(body["data"])'
    )


def _python_value(value: Any, depth: int = 1) -> str:
    pad = "    " * (depth + 1)
    if isinstance(value, Mapping) and value:
        rows = "".join(f"{pad}{json.dumps(k)}: {_python_value(v, depth + 1)},\n" for k, v in value.items())
        return f"{{\n{rows}{'    ' * depth}}}"
    if isinstance(value, list):
        return "[" + ", ".join(_python_value(one, depth + 1) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _node(method: str, url: str, body: Mapping[str, Any] | None, upload: bool) -> str:
    before, headers, given = "", f'"X-API-Key": process.env.{KEY_VARIABLE}', ""
    if upload:
        before = (
            'import { openAsBlob } from "node:fs";\n\nconst form = new FormData();\n'
            'form.set("file", await openAsBlob("contacts.csv"), "contacts.csv");\nform.set("duplicates", "update");\n\n'
        )
        given = "  body: form,\n"
    elif body is not None:
        headers += ', "Content-Type": "application/json"'
        given = f"  body: JSON.stringify({indent(_json(body), '  ').lstrip()}),\n"
    return (
        f'{before}const response = await fetch("{url}", {{\n  method: "{method}",\n'
        f"  headers: {{ {headers} }},\n{given}}});\n"
        "const body = await response.json();\n"
        "if (response.status !== 200) throw new Error(`${body.error_code}: ${body.message}`);\n"
        "console.log(body.data);"
    )


def _php_value(value: Any, depth: int = 1) -> str:
    pad = "    " * (depth + 1)
    if isinstance(value, Mapping):
        if not value:
            return "new stdClass()"
        rows = "".join(f"{pad}{_php_text(str(k))} => {_php_value(v, depth + 1)},\n" for k, v in value.items())
        return f"[\n{rows}{'    ' * depth}]"
    if isinstance(value, list):
        return "[" + ", ".join(_php_value(one, depth + 1) for one in value) + "]"
    return _php_text(value) if isinstance(value, str) else json.dumps(value)


def _php_text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _php(method: str, url: str, body: Mapping[str, Any] | None, upload: bool) -> str:
    headers, given = f"'X-API-Key: ' . getenv('{KEY_VARIABLE}')", ""
    if upload:
        file = "new CURLFile('contacts.csv', 'text/csv')"
        given = f"    CURLOPT_POSTFIELDS => ['file' => {file}, 'duplicates' => 'update'],\n"
    elif body is not None:
        headers += ", 'Content-Type: application/json'"
        given = f"    CURLOPT_POSTFIELDS => json_encode({_php_value(body)}),\n"
    return (
        f"<?php\n$call = curl_init('{url}');\ncurl_setopt_array($call, [\n    CURLOPT_RETURNTRANSFER => true,\n"
        f"    CURLOPT_CUSTOMREQUEST => '{method}',\n    CURLOPT_HTTPHEADER => [{headers}],\n{given}]);\n"
        "$body = json_decode(curl_exec($call));\n"
        "if (curl_getinfo($call, CURLINFO_RESPONSE_CODE) !== 200) {\n"
        '    exit("$body->error_code: $body->message\\n");\n}\n'
        "print_r($body->data);"
    )


def _powershell(method: str, url: str, body: Mapping[str, Any] | None, upload: bool) -> str:
    before, given = "", ""
    if upload:
        given = ' `\n  -Form @{ file = Get-Item "contacts.csv"; duplicates = "update" }'
    elif body is not None:
        before = f"$body = @'\n{_json(body)}\n'@\n"
        given = ' -ContentType "application/json" -Body $body'
    return (
        f'{before}$headers = @{{ "X-API-Key" = $env:{KEY_VARIABLE} }}\n'
        f'$answer = Invoke-RestMethod -Method {method.capitalize()} -Uri "{url}" `\n  -Headers $headers{given}\n'
        "$answer.data"
    )
