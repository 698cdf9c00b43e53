#!/bin/sh
# screenshots.sh REPORT.html OUTDIR
# Shows a report as people see it: desktop and phone width as PNG, A4 as PDF. Fails when the page is wider than the
# phone, when a picture is empty, or when the PDF has no pages. Needs Chromium and a CJK font.
set -eu
report=${1:?usage: screenshots.sh REPORT.html OUTDIR}
out=${2:?usage: screenshots.sh REPORT.html OUTDIR}
[ -f "$report" ] || { echo "no such report: $report" >&2; exit 2; }
browser=
for candidate in chromium chromium-browser google-chrome; do
    if command -v "$candidate" >/dev/null 2>&1; then browser=$candidate; break; fi
done
[ -n "$browser" ] || { echo "no Chromium found; install the package chromium" >&2; exit 2; }
mkdir -p "$out"
folder=$(cd "$(dirname "$report")" && pwd)
name=$(basename "$report" .html)
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT

chrome() {
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --disable-dev-shm-usage \
        --user-data-dir="$profile" "$@" "file://$folder/$name.html" 2>"$profile/log" || { cat "$profile/log" >&2; exit 1; }
}

chrome --window-size=1280,960 --screenshot="$out/$name.first.png"
chrome --window-size=1280,9000 --screenshot="$out/$name.1280.png"
chrome --no-pdf-header-footer --print-to-pdf="$out/$name.pdf"

# Headless Chromium does not go below about 500 pixels, so the phone is a frame of 390 pixels inside a wider page. The
# frame page also measures the report: the scroll width must not exceed the width.
cat >"$profile/phone.html" <<HTML
<!doctype html><body style="margin:0;background:#999"><iframe id="f" src="file://$folder/$name.html" style="width:390px;height:4000px;border:0;background:#fff"></iframe>
<script>document.getElementById("f").onload=function(){var d=this.contentDocument.documentElement;document.title="width "+d.scrollWidth}</script></body>
HTML
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --disable-dev-shm-usage --user-data-dir="$profile" \
    --window-size=520,4000 --screenshot="$out/$name.390.png" "file://$profile/phone.html" 2>"$profile/log"
"$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$profile" \
    --allow-file-access-from-files --virtual-time-budget=5000 --dump-dom "file://$profile/phone.html" >"$profile/dom" 2>"$profile/log"
width=$(sed -n 's/.*<title>width \([0-9]*\)<.*/\1/p' "$profile/dom" | head -1)
[ -n "$width" ] || { echo "the phone width could not be measured" >&2; exit 1; }
[ "$width" -le 390 ] || { echo "the report is $width pixels wide on a phone of 390" >&2; exit 1; }

for picture in "$name.first.png" "$name.1280.png" "$name.390.png"; do
    [ "$(wc -c <"$out/$picture")" -gt 20000 ] || { echo "$picture is empty" >&2; exit 1; }
done
grep -aq '/Type */Page' "$out/$name.pdf" || { echo "$name.pdf has no pages" >&2; exit 1; }
echo "OK $name: first screen, full page, phone ($width px), PDF in $out"
