"""How the report page looks: light, narrow enough for a phone, no file beside it."""

CSS = """
:root { color-scheme: light; --ink: #222831; --soft: #59636e; --line: #dfe3e7; --blue: #0a6ebd }
* { box-sizing: border-box }
body { margin: 0; background: #fff; color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { max-width: 66rem; margin: 0 auto; padding: 1.2rem 1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .6rem 0 }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .3rem }
p { max-width: 44rem; margin: .4rem 0 }
b { white-space: nowrap }
.soft, figcaption, dd { color: var(--soft) }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem;
  margin: 1.2rem 0 }
.figures div { border: 1px solid var(--line); border-radius: .6rem; padding: .7rem .9rem }
.figures b { display: block; font-size: 1.6rem; line-height: 1.2 }
.figures span { display: block; font-size: .85rem; line-height: 1.35; color: var(--soft) }
.scroll { overflow-x: auto; margin: .8rem 0; border: 1px solid var(--line); border-radius: .5rem }
table { border-collapse: collapse; width: 100%; font-size: .86rem }
th, td { padding: .42rem .6rem; text-align: left; border-top: 1px solid var(--line);
  vertical-align: top; font-variant-numeric: tabular-nums }
thead th { border-top: 0; vertical-align: bottom; color: var(--soft); font-weight: 600 }
td small { display: block; color: var(--soft) }
.wide table { font-size: .8rem }
.wide th, .wide td { padding: .42rem .35rem }
.wide td { white-space: nowrap }
.wide td:last-child { white-space: normal; min-width: 8rem }
.wide th:first-child { white-space: nowrap; position: sticky; left: 0; background: #fff }
tr.vdd > * { background: #eef6fd !important }
tr.reached td:last-child { color: #1a7f37; white-space: nowrap }
tr.missed td:last-child { color: #d1242f; font-weight: 700; white-space: nowrap }
ul { padding-left: 1.1rem; margin: .5rem 0; font-size: .86rem }
details { margin: .35rem 0 }
summary { cursor: pointer }
.grid { display: grid; gap: 1.2rem 1rem; grid-template-columns: repeat(2, 1fr) }
.charts { display: grid; gap: 1.4rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)) }
figure { margin: 0 }
img { width: 100%; max-width: 34rem; display: block }
.panels { margin-top: 1.2rem }
.panels img { max-width: none }
figcaption { font-size: .86rem; line-height: 1.4 }
figcaption b { color: var(--ink) }
dl { font-size: .86rem; margin: .6rem 0 }
dt { font-weight: 600 }
dd { margin: 0 0 .3rem }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem }
pre { overflow-x: auto; background: #f5f7f9; padding: .8rem; border-radius: .5rem;
  font-size: .82rem }
.bar { display: grid; grid-template-columns: 7rem 1fr 4rem; gap: .6rem; font-size: .86rem;
  align-items: center }
.bar span:last-child { text-align: right }
.bar i { background: var(--blue); height: .7rem; border-radius: .2rem; min-width: 1px }
@media (min-width: 44rem) {
  .grid { grid-template-columns: repeat(3, 1fr) }
  .meanings { display: grid; grid-template-columns: max-content 1fr; gap: 0 .9rem }
}
@media (max-width: 30rem) { th, td { padding: .4rem .45rem } table { font-size: .8rem } }
"""
