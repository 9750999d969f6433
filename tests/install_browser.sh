#!/bin/sh
# Chromium for the browser tests: installed with apt when that is possible, else the tests are skipped.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-wqy-zenhei >/dev/null && exit 0
fi
echo "There is no Chromium: browser tests will be skipped (Debian, as root: apt install chromium)." >&2
[ "${REQUIRE_BROWSER:-}" != 1 ]
