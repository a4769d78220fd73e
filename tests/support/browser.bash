# Chromium without a window, for pages: sourced by tests and by docs/pictures.sh.
#
#   browser_find                  sets BROWSER, or prints why there is none and fails
#   browser_dom PAGE              prints the document as it is when its scripts have run
#   browser_picture PAGE PNG      writes what is seen; BROWSER_SIZE=width,height
#
# What the page's scripts log and what the browser refuses to load stands in the file browser.log of the working folder.

browser_find() {
    local name
    for name in "${WEIR_BROWSER:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        [ -n "$name" ] && BROWSER="$(command -v "$name")" && return 0
    done
    echo "no Chromium was found: install it, or name one with WEIR_BROWSER"
    return 1
}

browser_run() {
    local page
    page="$(realpath "$1")"
    shift
    timeout 120 "$BROWSER" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run \
        --disable-extensions --user-data-dir="$PWD/profile" --window-size="${BROWSER_SIZE:-1200,900}" --virtual-time-budget=10000 \
        --enable-logging=stderr "$@" "file://$page" 2>>browser.log
}

browser_dom() {
    browser_run "$1" --dump-dom
}

browser_picture() {
    browser_run "$1" --screenshot="$2"
}
