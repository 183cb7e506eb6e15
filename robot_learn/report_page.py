"""The frame of the report: its style sheet and the places that the report fills."""

STYLE_SHEET = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2128; --soft: #5b6470; --line: #dfe3e8; --code: #f3f5f7;
  --good: #2e9e5b; --bad: #d9534f; --key: #8a3ffc; --num: #b45309; --str: #0f7b5f; --com: #6b7480; --name: #1d5fbf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --card: #1c2027; --ink: #e6e9ee; --soft: #9aa4b1; --line: #2f3640; --code: #171b21;
    --good: #46c17a; --bad: #ef7a75; --key: #c29bff; --num: #f0a860; --str: #6fd3ae; --com: #8b95a3; --name: #7fb2ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
header p { margin: 0; color: var(--soft); font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 14px; }
h1 { margin: 4px 0 28px; font-size: 32px; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 4px; font-size: 19px; }
section, details, .card, figure {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; margin: 0 0 16px; padding: 20px 24px;
}
.hero { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; align-items: stretch; }
.hero > div { display: grid; }
.hero.single { grid-template-columns: 1fr; }
@media (max-width: 760px) {
  .hero { grid-template-columns: 1fr; gap: 0; } .hero > div { order: -1; } main { padding: 24px 12px; }
}
figure { padding: 0; overflow: hidden; display: flex; flex-direction: column; }
video { display: block; width: 100%; background: #000; }
figcaption { padding: 10px 16px; color: var(--soft); font-size: 14px; }
.label { margin: 0; color: var(--soft); }
.big { margin: 0; font-size: 68px; font-weight: 700; line-height: 1.05; letter-spacing: -0.03em; }
.card > p:not(.big):not(.label) { margin: 8px 0 14px; }
.interval { position: relative; height: 8px; border-radius: 4px; background: var(--line); }
.interval i { position: absolute; top: 0; bottom: 0; border-radius: 4px; background: var(--good); opacity: 0.45; }
.interval b { position: absolute; top: -4px; width: 4px; height: 16px; margin-left: -2px; border-radius: 2px;
  background: var(--good); }
.scale { display: flex; justify-content: space-between; color: var(--soft); font-size: 12px; margin: 2px 0 14px; }
.dots { display: flex; flex-wrap: wrap; gap: 4px; margin-bottom: 16px; }
.dots i { width: 13px; height: 13px; border-radius: 3px; }
.yes { background: var(--good); }
.no { border: 2px solid var(--bad); }
dl { margin: 0; }
dl div { display: flex; justify-content: space-between; gap: 16px; padding: 5px 0; border-top: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.note { margin: 0 0 12px; color: var(--soft); font-size: 14px; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
pre { margin: 12px 0 0; padding: 14px 16px; background: var(--code); border-radius: 8px; overflow-x: auto;
  font: 13.5px/1.5 ui-monospace, Menlo, Consolas, monospace; }
details pre { white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; font-size: 17px; font-weight: 600; }
table { margin-top: 12px; border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--soft); width: 34%; }
.key { color: var(--key); } .num { color: var(--num); } .str { color: var(--str); }
.com { color: var(--com); font-style: italic; } .name { color: var(--name); font-weight: 600; }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@TITLE@</title>
<style>@STYLE@</style>
</head>
<body>
<main>
<header><p>@TASK@</p><h1>@INSTRUCTION@</h1></header>
@BODY@
</main>
</body>
</html>
""".replace("@STYLE@", STYLE_SHEET)
