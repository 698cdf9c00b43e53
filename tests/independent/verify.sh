#!/bin/bash
# Verifies an archive without Sealport: bash, coreutils, findutils, jq and openssl only.
#
#   verify.sh BAG TRUSTED_KEYS_DIR THRESHOLD
#
# TRUSTED_KEYS_DIR holds <key id>.pem for every trusted statement key, and checkpoint.pem.
# Prints "OK …" and ends with 0, or prints "FAIL CODE …" and ends with 1. Covers structure, signatures, statement,
# digests, set of files and checkpoints; not key validity, time or rows (see leaves_duckdb.py for rows).
# No pipefail: `find | grep -q` ends find early, which must not count as "nothing found".
set -u
export LC_ALL=C

if [ $# -ne 3 ]; then
  echo "usage: verify.sh BAG TRUSTED_KEYS_DIR THRESHOLD" >&2
  exit 2
fi
bag=$1
keys=$(cd "$2" 2>/dev/null && pwd) || { echo "FAIL E_OPEN keys"; exit 1; }
threshold=$3
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

fail() { echo "FAIL $*"; exit 1; }
openssl_verify() { openssl pkeyutl -verify -pubin -inkey "$1" -rawin -in "$2" -sigfile "$3" >/dev/null 2>&1; }
# Members of an object that occur more than once, by path; strict JSON has none.
has_duplicates() {
  [ -n "$(jq -c --stream 'select(length == 2) | .[0]' "$1" | sort | uniq -d)" ]
}

cd "$bag" 2>/dev/null || fail E_OPEN bag

# --- 1. Structure: nothing is parsed yet -------------------------------------------------------------------------
if find . -mindepth 1 ! -type f ! -type d | grep -q .; then fail E_NOT_REGULAR; fi
if find . -mindepth 1 -print0 | tr '\0\n' '\n\001' | grep -qvE '^\.(/[A-Za-z0-9][A-Za-z0-9._-]*)+$'; then fail E_NAME; fi
if find . -mindepth 1 -printf '%P\n' | grep -qE '\.(/|$)'; then fail E_NAME; fi
if find . -mindepth 1 | tr '[:upper:]' '[:lower:]' | sort | uniq -d | grep -q .; then fail E_CASE_COLLISION; fi
if find . -mindepth 1 -type d -empty | grep -q .; then fail E_EXTRA empty folder; fi
[ ! -e fetch.txt ] || fail E_FETCH
printf 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n' > "$tmp/bagit"
cmp -s "$tmp/bagit" bagit.txt || fail E_BAGIT_TXT
while IFS= read -r path; do
  case $path in
    README.txt|bag-info.txt|bagit.txt|manifest-sha256.txt|tagmanifest-sha256.txt|data/*) ;;
    manifest-sm3.txt|tagmanifest-sm3.txt) ;;
    signatures/*)
      [[ ${path#signatures/} =~ ^(statement\.[0-9a-f]{8}\.dsse\.json(\.tsr)?|checkpoint\.[a-z][a-z0-9_]*\.txt|renewal-[0-9]{4}/[A-Za-z0-9][A-Za-z0-9._-]*)$ ]] \
        || fail E_EXTRA "$path" ;;
    *) fail E_EXTRA "$path" ;;
  esac
done < <(find . -type f -printf '%P\n')

# --- 2. Signatures over the payload, by trusted keys only ----------------------------------------------------------
signed=0
: > "$tmp/counted"
for envelope in signatures/statement.*.dsse.json; do
  [ -f "$envelope" ] || fail E_NO_STATEMENT
  [ "$(stat -c %s "$envelope")" -le 16777216 ] || fail E_LIMIT "$envelope"
  jq -e -s 'length == 1 and (.[0] | type == "object" and (keys == ["payload", "payloadType", "signatures"])
      and (.signatures | length == 1) and (.signatures[0] | keys == ["keyid", "sig"]))' "$envelope" >/dev/null 2>&1 \
    || fail E_ENVELOPE "$envelope"
  if has_duplicates "$envelope"; then fail E_DUP_MEMBER "$envelope"; fi
  [ "$(tail -c 1 "$envelope")" = "}" ] || fail E_ENVELOPE "$envelope"
  kind=$(jq -r .payloadType "$envelope")
  [ "$kind" = application/vnd.in-toto+json ] || fail E_PAYLOAD_TYPE "$kind"
  jq -j .payload "$envelope" | base64 -d > "$tmp/payload.now" 2>/dev/null || fail E_BASE64 payload
  jq -j '.signatures[0].sig' "$envelope" | base64 -d > "$tmp/signature" 2>/dev/null || fail E_BASE64 sig
  if [ -f "$tmp/payload" ]; then
    cmp -s "$tmp/payload" "$tmp/payload.now" || fail E_PAYLOAD_MISMATCH "$envelope"
  else
    cp "$tmp/payload.now" "$tmp/payload"
  fi
  key=$(jq -r '.signatures[0].keyid' "$envelope")
  [[ $key =~ ^[0-9a-f]{64}$ ]] || fail E_KEYID "$envelope"
  [ "$envelope" = "signatures/statement.${key:0:8}.dsse.json" ] || fail E_KEYID "$envelope"
  if [ ! -f "$keys/$key.pem" ]; then
    echo "note: key $key is not trusted; its signature is ignored" >&2
    continue
  fi
  actual=$(openssl pkey -pubin -in "$keys/$key.pem" -outform DER 2>/dev/null | sha256sum | cut -d' ' -f1)
  [ "$actual" = "$key" ] || fail E_KEYID "$keys/$key.pem holds another key"
  { printf 'DSSEv1 %d %s %d ' "${#kind}" "$kind" "$(stat -c %s "$tmp/payload")"; cat "$tmp/payload"; } > "$tmp/pae"
  openssl_verify "$keys/$key.pem" "$tmp/pae" "$tmp/signature" || fail E_SIGNATURE "$key"
  if ! grep -qx "$key" "$tmp/counted"; then
    echo "$key" >> "$tmp/counted"
    signed=$((signed + 1))
  fi
done
[ "$signed" -ge "$threshold" ] && [ "$signed" -ge 1 ] || fail E_THRESHOLD "$signed of $threshold"

# --- 3. Statement -----------------------------------------------------------------------------------------------------
statement=$tmp/payload
jq -e . "$statement" >/dev/null 2>&1 || fail E_FIELD statement is not JSON
if has_duplicates "$statement"; then fail E_DUP_MEMBER statement; fi
get() { jq -r "$1" "$statement"; }
[ "$(get ._type)" = https://in-toto.io/Statement/v1 ] || fail E_STATEMENT_TYPE
[ "$(get .predicateType)" = https://sealport.dev/evidence-bag/v1 ] || fail E_STATEMENT_TYPE "$(get .predicateType)"
[[ $(get .predicate.formatVersion) =~ ^1\.[0-9]+$ ]] || fail E_UNSUPPORTED "$(get .predicate.formatVersion)"
[ "$(get '.predicate.critical | length')" = 0 ] || fail E_CRITICAL
[ "$(get '.subject | length')" = 1 ] && [ "$(get '.subject[0].name')" = tagmanifest-sha256.txt ] || fail E_SUBJECT
archive=$(get .predicate.archiveId)
[[ $archive =~ ^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] || fail E_FIELD archiveId
bad=$(get '.predicate.tables[] | select(.leafEncoding != "row-jcs-v1" or .treeHash != "rfc6962-sha256") | .name')
[ -z "$bad" ] || fail E_UNSUPPORTED "$bad"

# --- 4. Manifests, digests, set of files ---------------------------------------------------------------------------
[ -f tagmanifest-sha256.txt ] || fail E_TAGMANIFEST
[ "$(sha256sum < tagmanifest-sha256.txt | cut -d' ' -f1)" = "$(get '.subject[0].digest.sha256')" ] || fail E_TAGMANIFEST
for manifest in tagmanifest-sha256.txt manifest-sha256.txt; do
  [ -f "$manifest" ] || fail E_FILE_SET "$manifest"
  if grep -qvE '^[0-9a-f]{64}  [[:graph:]]+$' "$manifest"; then fail E_MANIFEST_SYNTAX "$manifest"; fi
  cut -c67- "$manifest" > "$tmp/paths"
  if grep -qE '(^|/)\.{0,2}(/|$)|[^A-Za-z0-9._/-]' "$tmp/paths"; then fail E_PATH "$manifest"; fi
  if sort "$tmp/paths" | uniq -d | grep -q .; then fail E_DUP_PATH "$manifest"; fi
  sort -c "$tmp/paths" 2>/dev/null || fail E_MANIFEST_SYNTAX "$manifest"
  sha256sum -c --strict --quiet "$manifest" >/dev/null 2>&1 || fail E_DIGEST "$manifest"
done
find . -type f -printf '%P\n' | grep -v '^signatures/' | sort > "$tmp/present"
{ cut -c67- manifest-sha256.txt; cut -c67- tagmanifest-sha256.txt; ls tagmanifest-*.txt; } | sort > "$tmp/named"
cmp -s "$tmp/present" "$tmp/named" || fail E_FILE_SET "$(comm -3 "$tmp/present" "$tmp/named" | tr -d '\t' | head -n 1)"
files=$(wc -l < manifest-sha256.txt)
octets=$(find data -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%.0f", n }')
[ "$(get '.predicate.payload | "\(.octets).\(.files)"')" = "$octets.$files" ] || fail E_OXUM statement
[ "$(grep -c '^Payload-Oxum: ' bag-info.txt)" = 1 ] && grep -qx "Payload-Oxum: $octets.$files" bag-info.txt || fail E_OXUM bag-info.txt
grep -qx "External-Identifier: $archive" bag-info.txt || fail E_FIELD bag-info.txt

# --- 5. Checkpoints ----------------------------------------------------------------------------------------------------
while IFS=$'\t' read -r table rows root origin schema; do
  note=signatures/checkpoint.$table.txt
  [ "$origin" = "sealport.dev/${archive#urn:uuid:}/$table" ] || fail E_FIELD "$table"
  grep -qx "$schema  data/schema/$table.schema.json" manifest-sha256.txt || fail E_SCHEMA "$table"
  [ -f "$note" ] || fail E_NO_CHECKPOINT "$table"
  encoded=$(printf '%s' "$root" | tr a-f A-F | basenc -d --base16 | base64 -w 0)
  printf '%s\n%s\n%s\n' "$origin" "$rows" "$encoded" > "$tmp/note"
  size=$(stat -c %s "$tmp/note")
  head -c "$size" "$note" | cmp -s - "$tmp/note" || fail E_CHECKPOINT_MISMATCH "$table"
  good=no
  while IFS=' ' read -r dash name blob; do
    [ "$dash" = "—" ] && [ "$name" = "$origin" ] || continue
    printf '%s' "$blob" | base64 -d > "$tmp/raw" 2>/dev/null || continue
    [ "$(stat -c %s "$tmp/raw")" = 68 ] || continue
    { printf '%s\n\001' "$origin"; openssl pkey -pubin -in "$keys/checkpoint.pem" -outform DER | tail -c 32; } \
      | sha256sum | cut -c1-8 > "$tmp/hash"
    [ "$(head -c 4 "$tmp/raw" | od -An -tx1 | tr -d ' \n')" = "$(cat "$tmp/hash")" ] || continue
    tail -c 64 "$tmp/raw" > "$tmp/signature"
    openssl_verify "$keys/checkpoint.pem" "$tmp/note" "$tmp/signature" && good=yes
  done < <(tail -c "+$((size + 2))" "$note")
  [ "$good" = yes ] || fail E_CHECKPOINT_SIGNATURE "$table"
done < <(get '.predicate.tables[] | [.name, .rows, .rootHash, .checkpointOrigin, .schema.digest.sha256] | @tsv')
notes=$(find signatures -maxdepth 1 -name 'checkpoint.*.txt' | wc -l)
[ "$notes" = "$(get '.predicate.tables | length')" ] || fail E_CHECKPOINT_MISMATCH "a note for no table"

echo "OK archive=$archive stream=$(get .predicate.stream) sequence=$(get .predicate.sequence) signatures=$signed" \
  "digest=$(sha256sum < tagmanifest-sha256.txt | cut -d' ' -f1)"
