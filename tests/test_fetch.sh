#!/usr/bin/env bash
# tests/test_fetch.sh FETCH - tools/fetch against a server on loopback: plain, resumed, cut, wrong, refused.
set -u
fetch=$1
for tool in python3 curl sha256sum; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
python3 -c 'import http.server' 2>/dev/null || { echo "skipped: python3 has no http.server"; exit 77; }
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export no_proxy='*'
mkdir "$work/www" "$work/to"
head -c 700001 /dev/urandom >"$work/www/good.bin"

# /good.bin honours Range; /cut/ closes after 300,000 bytes of each answer; /no-range/ ignores Range.
cat >"$work/server.py" <<'PY'
import http.server, os, sys
root, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = os.path.basename(self.path)
        log.write("%s %s\n" % (self.path, self.headers.get("Range", "-")))
        path = os.path.join(root, name)
        if not os.path.exists(path):
            return self.send_error(403 if name == "gated.bin" else 404)
        data, start = open(path, "rb").read(), 0
        wanted = self.headers.get("Range")
        if wanted and "/no-range/" not in self.path:
            start = int(wanted.split("=")[1].split("-")[0])
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + 300000 if "/cut/" in self.path else start + 1000 if "/dead/" in self.path else len(data)
        self.wfile.write(data[start:end])
        self.close_connection = True
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PY
python3 "$work/server.py" "$work/www" "$work/log" >"$work/port" 2>/dev/null &
server=$!
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.1; done
[ -s "$work/port" ] || { echo "skipped: no server on loopback"; exit 77; }
base="http://127.0.0.1:$(cat "$work/port")"
sum=$(sha256sum <"$work/www/good.bin" | cut -c1-64)
wrong=$(printf 0%.0s $(seq 64))

entry() { # entry NAME ADDRESS [SHA256 [BYTES]]
    printf '{"name": "%s", "file": "%s.bin", "kind": "lora", "bytes": %s, "sha256": "%s", "cases": [%s], "address": "%s"}' \
        "$1" "$1" "${4:-700001}" "${3:-$sum}" "${5:-}" "$2"
}
cat >"$work/catalog.json" <<JSON
{"about": "test", "files": [
  $(entry good "$base/good.bin" "" "" 3),
  $(entry cut "$base/cut/good.bin" "" "" "3, 14"),
  $(entry dead "$base/dead/good.bin"),
  $(entry plain "$base/no-range/good.bin"),
  $(entry wrong "$base/good.bin" "$wrong"),
  $(entry longer "$base/good.bin" "" 700000),
  $(entry shorter "$base/good.bin" "" 700002),
  $(entry absent "$base/absent.bin"),
  $(entry gated "$base/gated.bin"),
  $(entry huge "$base/good.bin" "" 9007199254740991),
  $(entry nobody "http://127.0.0.1:1/good.bin")
]}
JSON

failures=0
check() { # check WHAT CONDITION...
    if "${@:2}"; then echo "ok      $1"; else echo "FAILED  $1"; sed 's/^/        /' "$work/err"; failures=$((failures + 1)); fi
}
try() { "$fetch" --catalog "$work/catalog.json" --to "$work/to" "$@" >"$work/out" 2>"$work/err"; code=$?; }
code_is() { [ "$code" = "$1" ]; }
said() { grep -q "$1" "$work/err"; }
fetched() { [ "$code" = 0 ] && cmp -s "$work/www/good.bin" "$work/to/$1.bin" && [ ! -e "$work/to/$1.bin.part" ]; }
nothing() { [ "$code" = 1 ] && [ ! -e "$work/to/$1.bin" ]; }

try good; check "a file arrives whole" fetched good
: >"$work/log"; try good; check "a file that is there is not downloaded again" test ! -s "$work/log" -a "$code" = 0
head -c 250000 "$work/www/good.bin" >"$work/to/good.bin.part"; rm "$work/to/good.bin"; : >"$work/log"
try good; check "a part is gone on with" fetched good
check "only the rest was asked for" grep -q 'bytes=250000-' "$work/log"
try cut; check "a connection that is cut is taken up again" fetched cut
try dead; check "a connection that is cut again and again gives up" nothing dead
check "and says so" said "connection was cut"
check "and keeps the part" test -s "$work/to/dead.bin.part"
head -c 250000 "$work/www/good.bin" >"$work/to/plain.bin.part"
try plain; check "a server without ranges: from the start" fetched plain
try wrong; check "another hash is refused" nothing wrong
check "and says so" said "refused"
check "and leaves no part" test ! -e "$work/to/wrong.bin.part"
head -c 700001 /dev/zero >"$work/to/wrong.bin.part"
try wrong; check "a full part of another hash is refused" nothing wrong
try longer; check "a file longer than the catalog's is refused" nothing longer
try shorter; check "a file shorter than the catalog's is refused" nothing shorter
try absent; check "404 is an error" nothing absent
check "that leaves nothing" test ! -e "$work/to/absent.bin.part"
try gated; check "403 is an error" said "login"
try nobody; check "no server is an error" said "cannot be reached"
try huge; check "a disk too small is said before" said "the disk has"
check "and nothing is downloaded" nothing huge
echo mine >"$work/to/other.bin"; cp "$work/to/other.bin" "$work/to/good.bin"
try good; check "a foreign file of the name is left alone" cmp -s "$work/to/other.bin" "$work/to/good.bin"
check "and is an error" code_is 1

rm -f "$work/to"/good.*
(ulimit -f 200; try good; exit $code); code=$? # 200 blocks: the disk is full half way
check "a disk that fills up is an error" nothing good
check "and the part can be gone on with" test -s "$work/to/good.bin.part"
try good; check "once there is room" fetched good

try --case 14; check "a case by number" test "$code" = 0
try --case 9; check "an unknown case is misuse" code_is 2
try --bogus; check "an unknown option is misuse" code_is 2
try nonsense; check "an unknown name is misuse" code_is 2
"$fetch" good --catalog "$work/catalog.json" >"$work/out" 2>"$work/err"; code=$?
check "no folder is misuse" code_is 2
check "the project's catalog lists the six files" test "$("$fetch" --list | wc -l)" = 6
exit $((failures > 0))
