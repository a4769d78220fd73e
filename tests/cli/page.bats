# Pages of weir schedule draw, looked at in Chromium where there is one.
bats_require_minimum_version 1.5.0

load ../support/browser.bash

setup() {
    cd "$BATS_TEST_TMPDIR"
    browser_find || skip "no Chromium was found: install it, or name one with WEIR_BROWSER"
}

# What is wrong with the page itself.
complaints() {
    ! grep -E 'CONSOLE|Uncaught|Refused to|Content Security Policy' browser.log
}

# attribute NAME: its values in dom.html, one per line
attribute() {
    grep -oE "$1=\"[^\"]*\"" dom.html | sed 's/.*="//; s/"$//'
}

# page FILE SCRIPT: a copy of the page in which SCRIPT runs when it is drawn, and prints to the element `result`
scripted() {
    cat "$1"
    cat <<EOF
<pre id="result"></pre>
<script>
function say(text) { document.getElementById('result').textContent += text + '\n'; }
function at(panel, type, x, y, more) {
  const box = panel.getBoundingClientRect();
  const kind = type === 'wheel' ? WheelEvent : PointerEvent;
  panel.dispatchEvent(new kind(type, { clientX: box.left + x, clientY: box.top + y, pointerId: 1, bubbles: true, cancelable: true, ...more }));
}
window.requestAnimationFrame = run => setTimeout(run, 10); // without a window frames come when they like
function later(run) { setTimeout(run, 300); }
const panel = document.querySelector('.panel');
panel.setPointerCapture = () => {};
$2
</script>
EOF
}

result() {
    sed -n '/<pre id="result">/,/<\/pre>/p' dom.html | sed 's/<[^>]*>//g' | grep .
}

@test "a page draws every event of every timeline as a box of SVG" {
    "$WEIR" schedule draw 1f1b zbv -p 4 -m 8 --comm 0.2 -o page.html
    browser_dom page.html >dom.html
    [ "$(grep -o 'class="event"' dom.html | wc -l)" -eq $((4 * 8 * 2 + 8 * 8 * 3)) ]
    [ "$(attribute data-drawn | tr '\n' ' ')" = "64 192 " ]
    [ "$(grep -o '<h2>' dom.html | wc -l)" -eq 2 ]
    grep -q '<title>1f1b: 4 ranks, .* / zbv: 4 ranks, ' dom.html
    complaints
}

@test "a page with more than 5,000 events draws them all on a canvas" {
    "$WEIR" schedule draw zbv -p 8 -m 128 -o page.html
    browser_dom page.html >dom.html
    [ "$(attribute data-events)" -eq $((16 * 128 * 3)) ]
    [ "$(attribute data-drawn)" -eq $((16 * 128 * 3)) ]
    grep -q '<canvas' dom.html
    ! grep -q 'class="event"' dom.html
    complaints
}

@test "what is drawn is seen, as SVG and on a canvas" {
    for size in "4 8" "8 128"; do
        read -r p m <<<"$size"
        "$WEIR" schedule draw zbv -p "$p" -m "$m" -o page.html
        sed 's|</style>|.panel { visibility: hidden }</style>|' page.html >blank.html
        ! cmp -s page.html blank.html
        browser_picture page.html page.png
        browser_picture page.html again.png
        browser_picture blank.html blank.png
        cmp page.png again.png
        ! cmp -s page.png blank.png
    done
}

@test "the pointer shows an action, what it waited for and what the rank holds" {
    "$WEIR" schedule draw 1f1b -p 2 -m 2 --comm 0.5 -o page.html
    # 1F0 is 1.5 to 2.5 of 10 in the second row
    scripted page.html "
      const s = scale(panel), row = rows(panel.timeline);
      at(panel, 'pointermove', s.x(2), TOP + row.each + 4);
      say(tip.textContent);
      at(panel, 'pointermove', s.x(1), TOP + row.each + 4);
      say(tip.textContent);" >asked.html
    browser_dom asked.html >dom.html
    result >shown
    diff - shown <<EOF
1F0 on rank 1: forward
stage 1, micro-batch 0
1.5 to 2.5: 1
on the critical path
before it rank 1 waited 1.5
for input: 0F0 of rank 0
0.5 of it on the way
holds 1 activations of at most 1
rank 1 waited 1.5
for input: 0F0 of rank 0
0.5 of it on the way
holds 0 activations of at most 1
EOF
    complaints
}

@test "the wheel and keys zoom, dragging moves, a click follows a micro-batch" {
    "$WEIR" schedule draw 1f1b -p 4 -m 8 -o page.html
    scripted page.html "
      const s = scale(panel);
      at(panel, 'wheel', s.x(0), TOP + 4, { deltaY: -100, ctrlKey: true });
      at(panel, 'wheel', s.x(0), TOP + 4, { deltaY: -100, ctrlKey: true });
      later(() => {
        say('zoomed ' + view.from + ' ' + view.to + ' ' + (panel.dataset.drawn < 64));
        at(panel, 'pointerdown', 500, TOP + 4);
        at(panel, 'pointermove', 400, TOP + 4);
        at(panel, 'pointerup', 400, TOP + 4);
        say('moved ' + (view.from > 0) + ' ' + (view.to - view.from));
        dispatchEvent(new KeyboardEvent('keydown', { key: '0' }));
        later(() => {
          say('all ' + view.from + ' ' + view.to + ' ' + panel.dataset.drawn);
          at(panel, 'pointerdown', s.x(0.5), TOP + 4);
          at(panel, 'pointerup', s.x(0.5), TOP + 4);
          later(() => say('faded ' + panel.querySelectorAll('.event[opacity]').length));
        });
      });" >asked.html
    browser_dom asked.html >dom.html
    result >shown
    diff - shown <<EOF
zoomed 0 16.5 true
moved true 16.5
all 0 33 64
faded 56
EOF
    complaints
}

@test "names out of files stay text" {
    name='<img src=x onerror=say(1)>.csv'
    printf '0F0,0B0\n1F0,1B0\n' >"$name"
    "$WEIR" schedule draw "$name" -o page.html
    scripted page.html "say(document.querySelector('h2').textContent + document.querySelectorAll('img').length)" >asked.html
    browser_dom asked.html >dom.html
    grep -q '&lt;img src=x onerror=say(1)&gt;.csv: 2 ranks, 2 stages, 1 micro-batches, predicted0' dom.html
    complaints
}
