#include "src/report/difference_page.h"

namespace ferry::report {

// The classes c1 … c9 are shades of growing drift; those named after kinds of marks (over, removed, …) serve
// marks, cells and rows alike.
const std::string_view kPageStyle = R"css(:root {
  --paper: #faf9f7; --card: #fff; --ink: #1c1c20; --soft: #63626a; --line: #e4e1dc; --wash: #f3f1ed;
  --good: #1b7a4b; --fair: #8a6100; --bad: #b42318; --blue: #3451b2; --rest: #d5d2cc;
  --c1: #b4d2ee; --c2: #9dc1ea; --c3: #8aaee4; --c4: #7f99dd; --c5: #7c80d4; --c6: #8763c4; --c7: #9a429f;
  --c8: #a8256d; --c9: #8f0f35;
}
@media screen and (prefers-color-scheme: dark) { :root {
  --paper: #131316; --card: #1b1b1f; --ink: #ededf0; --soft: #a09fa8; --line: #313138; --wash: #232328;
  --good: #5bd08f; --fair: #e5b95a; --bad: #ff8277; --blue: #9db2ff; --rest: #3d3d45;
  --c1: #2c4766; --c2: #2f5680; --c3: #37689f; --c4: #4a77be; --c5: #6b7fd4; --c6: #9a87e0; --c7: #cb8ad6;
  --c8: #f395b3; --c9: #ffbb8f;
} }
* { box-sizing: border-box; }
html { scroll-padding-top: 4rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Liberation Sans", sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: clamp(1rem, 4vw, 3rem) clamp(.9rem, 4vw, 2.5rem); }
h1, h2, h3, p, dl, dd, ul, figure { margin: 0; padding: 0; }
h1 { font-size: clamp(1.9rem, 5vw, 2.9rem); line-height: 1.1; letter-spacing: -.025em; font-weight: 650; }
h2 { font-size: 1.15rem; letter-spacing: -.01em; font-weight: 650; }
code, .mono { font: .88em/1.45 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; }
small, .small, .about { color: var(--soft); font-size: .82rem; }
section { margin-top: 2.5rem; min-width: 0; }
.about { margin: .1rem 0 .9rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.symbols { position: absolute; }

.banner { display: grid; grid-template-columns: auto 1fr; gap: 0 1.2rem; align-items: start; background: var(--card);
  border: 1px solid var(--line); border-top: 4px solid var(--tone); border-radius: 14px;
  padding: clamp(1.1rem, 3vw, 2rem); }
.good { --tone: var(--good); } .fair { --tone: var(--fair); } .bad { --tone: var(--bad); }
.sign { margin-top: .9rem; }
.sign circle { fill: var(--tone); opacity: .13; }
.sign path { fill: none; stroke: var(--tone); stroke-width: 3.5; stroke-linecap: round; stroke-linejoin: round; }
.over-line { color: var(--soft); font-size: .78rem; letter-spacing: .08em; text-transform: uppercase; }
.banner h1 { color: var(--tone); }
.lead { font-size: clamp(1rem, 2.2vw, 1.15rem); margin-top: .4rem; overflow-wrap: anywhere; }
.bar-of-states, .states, .tiles { grid-column: 1 / -1; }
.bar-of-states { display: flex; gap: 2px; height: 10px; margin-top: 1.5rem; border-radius: 5px; overflow: hidden; }
.bar-of-states i, .states i { background: var(--rest); }
.banner.good .bar-of-states .equal, .banner.good .states .equal i { background: var(--good); }
.bar-of-states .within, .states .within i { background: var(--blue); }
.bar-of-states .over, .states .over i { background: var(--bad); }
.bar-of-states .incomparable, .states .incomparable i { background: var(--ink); }
.bar-of-states .removed, .states .removed i, .bar-of-states .added, .states .added i { background: var(--fair); }
.states { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin-top: .5rem; font-size: .82rem; color: var(--soft); }
.states i { display: inline-block; width: 9px; height: 9px; border-radius: 3px; margin-right: .4rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: 1.1rem 1.4rem;
  margin-top: 1.4rem; padding-top: 1.3rem; border-top: 1px solid var(--line); }
.tiles dt { color: var(--soft); font-size: .8rem; }
.tiles dd { font-size: 1.55rem; font-weight: 600; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.tiles small { display: block; font-weight: 400; letter-spacing: 0; line-height: 1.35; }

.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem;
  margin-top: 1rem; }
.side { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .9rem 1.2rem; }
.side h3 { font-size: .78rem; font-weight: 500; color: var(--soft); }
.error { margin-top: 1rem; color: var(--bad); overflow-wrap: anywhere; }

.choice { border: 0; margin: 0 0 .8rem; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .88rem; }
.choice input, .tools input[type=checkbox] { accent-color: var(--blue); margin: 0 .3rem 0 0; }
section:has(.choose-by-ulp:checked) .by-frobenius, section:has(.choose-by-frobenius:checked) .by-ulp { display: none; }
.axes { padding: 0 10px 0 58px; }
.plot { display: block; width: 100%; overflow: visible; }
.axis line { stroke: var(--line); shape-rendering: crispEdges; }
.axis .foot { stroke: var(--rest); }
.axis text { font-size: 11.5px; fill: var(--soft); text-anchor: end; font-variant-numeric: tabular-nums; }
.axis text.below { text-anchor: middle; }
.band { fill: var(--wash); }
.bound { stroke: var(--bad); stroke-dasharray: 5 4; }
.marks use, .legend use { stroke: none; fill: none; }
use[href="#equal"] { stroke: var(--soft); stroke-width: 1; opacity: .55; }
use[href="#within"] { fill: var(--blue); }
use[href="#over"] { fill: var(--bad); }
use[href="#nonfinite"], use[href="#incomparable"], use[href="#removed"], use[href="#added"] { stroke: var(--bad);
  stroke-width: 2.2; stroke-linecap: round; }
use[href="#removed"], use[href="#added"] { stroke: var(--fair); }
.marks use { stroke-linejoin: round; }
.marks use[href="#over"] { stroke: color-mix(in srgb, var(--ink) 45%, transparent); stroke-width: .7; }
.marks a:hover use, .marks a:focus use { stroke: var(--ink); stroke-width: 2; }
.marks a:focus { outline: none; }
.bar { fill: var(--c6); } .bar.zero { fill: var(--rest); } .bar:hover { fill: var(--ink); }
use.c1 { fill: var(--c1); } use.c2 { fill: var(--c2); } use.c3 { fill: var(--c3); } use.c4 { fill: var(--c4); }
use.c5 { fill: var(--c5); } use.c6 { fill: var(--c6); } use.c7 { fill: var(--c7); } use.c8 { fill: var(--c8); }
use.c9 { fill: var(--c9); }
.band-labels { display: flex; height: 1.6rem; }
.band-labels div { min-width: 0; container-type: inline-size; font-size: 11.5px; color: var(--soft); }
.band-labels span { display: block; text-align: center; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  padding: 3px 2px; }
@container (max-width: 27px) { .band-labels span { visibility: hidden; } }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .82rem; color: var(--soft); margin-top: .5rem; }
.legend span { display: inline-flex; align-items: center; gap: .35rem; }

.pair { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 3rem; }
.strips { display: grid; gap: 5px; }
.strip { display: grid; grid-template-columns: minmax(4rem, 9rem) 1fr; gap: .8rem; align-items: start; }
.strip > span { font: 12px/14px ui-monospace, "DejaVu Sans Mono", monospace; color: var(--soft); text-align: right;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.heat { display: flex; flex-wrap: wrap; gap: 2px; }
.heat > a, .heat i { display: block; width: 12px; height: 12px; border-radius: 3px; }
.heat > a:hover, .heat > a:focus { outline: 2px solid var(--ink); outline-offset: 1px; }
.heat .equal { background: var(--card); border: 1px solid var(--line); }
.heat .skipped { background: none; border: 1px dotted var(--soft); }
.heat .nonfinite, .heat .incomparable, .heat .removed, .heat .added { border: 1px solid var(--bad);
  background: linear-gradient(135deg, transparent 44%, var(--bad) 44% 56%, transparent 56%); }
.legend.heat { display: flex; gap: .3rem 1.2rem; margin-top: 1rem; }
.legend.heat span { gap: 3px; }
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); } .c5 { --c: var(--c5); }
.c6 { --c: var(--c6); } .c7 { --c: var(--c7); } .c8 { --c: var(--c8); } .c9 { --c: var(--c9); }
i[class^=c], a[class^=c] { background: var(--c); }

.lists { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 0 3rem; }
.lines { list-style: none; margin-top: .5rem; font-size: .9rem; }
.lines li { padding: .4rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.lines b { font-weight: 500; font-size: .8rem; color: var(--soft); margin-right: .3rem; }
del { color: var(--bad); text-decoration-thickness: 1px; } ins { color: var(--good); text-decoration: none; }

.tools { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: center; margin: .8rem 0; font-size: .88rem; }
.tools input[type=search], .tools select { font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; padding: .3rem .6rem; }
.tools input[type=search] { width: min(15rem, 60vw); }
.found { color: var(--soft); }
.more { display: block; width: 100%; padding: .7rem; font: inherit; color: var(--blue); background: none; border: 0;
  border-top: 1px solid var(--line); cursor: pointer; }
.more[hidden] { display: none; }
.table { border: 1px solid var(--line); border-radius: 12px; background: var(--card); }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .86rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .55rem; border-top: 1px solid var(--line);
  font-weight: 400; }
td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td:nth-child(2), .files td { text-align: left; }
.files td:last-child { white-space: normal; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--card); border: 0; color: var(--soft);
  font-size: .78rem; white-space: nowrap; text-align: right; border-radius: 12px 12px 0 0; }
thead th:nth-child(-n+2), .files thead th { text-align: left; }
thead button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
thead button::after { content: "\2009\2195"; opacity: .35; }
[aria-sort=ascending] button::after { content: "\2009\2191"; opacity: 1; }
[aria-sort=descending] button::after { content: "\2009\2193"; opacity: 1; }
tbody th { width: 40%; min-width: 15rem; overflow-wrap: anywhere; }
tbody th small, td small { display: block; }
tbody th p { font-size: .84rem; padding-left: 1.1rem; text-indent: -1.1rem; margin: .15rem 0; }
tbody th p::before { content: "\21B3\2002"; color: var(--soft); }
td b { font-weight: 500; } tr.over b, tr.nonfinite b, tr.incomparable b { color: var(--bad); }
tr.within b { color: var(--blue); } tr.removed b, tr.added b { color: var(--fair); }
td i { display: inline-block; width: 9px; height: 9px; border-radius: 3px; margin-right: .4rem; }
tr:target { background: var(--wash); box-shadow: inset 3px 0 var(--blue); }
.tensors:not(:has(.show-equal:checked)) tr.equal, tr[hidden] { display: none; }
.file { margin-top: 1.2rem; border-top: 1px solid var(--line); padding-top: .8rem; }
.file summary { cursor: pointer; overflow-wrap: anywhere; } .file summary span { color: var(--soft); }
#tip { position: fixed; z-index: 9; max-width: min(30rem, calc(100vw - 16px)); background: var(--ink); color: var(--paper);
  border-radius: 8px; padding: .45rem .7rem; font-size: .8rem; line-height: 1.4; pointer-events: none;
  overflow-wrap: anywhere; }
#tip b { display: block; font-weight: 600; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .82rem; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }

@media (max-width: 900px) { .pair { grid-template-columns: minmax(0, 1fr); } }
@media screen and (max-width: 960px) {
  .tensors thead { display: none; }
  .tensors table, .tensors tbody, .tensors th, .tensors td { display: block; }
  .tensors tr { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .1rem .8rem; padding: .7rem .9rem;
    border-top: 1px solid var(--line); }
  .tensors tr:first-child { border: 0; } .tensors tr[hidden], .tensors:not(:has(.show-equal:checked)) tr.equal { display: none; }
  .strip { grid-template-columns: 5.5rem 1fr; }
  .tensors th, .tensors td { border: 0; padding: .1rem 0; text-align: left; }
  .tensors tbody th { grid-column: 1 / -1; width: auto; min-width: 0; }
  .tensors td[colspan] { display: none; }
  .tensors td::before { display: block; font-size: .72rem; color: var(--soft); }
  .tensors td:nth-child(2)::before { content: "state"; } .tensors td:nth-child(3)::before { content: "differing"; }
  .tensors td:nth-child(4)::before { content: "max |\394|"; } .tensors td:nth-child(5)::before { content: "max rel"; }
  .tensors td:nth-child(6)::before { content: "max ULP"; } .tensors td:nth-child(7)::before { content: "rel. Frob."; }
  .tensors td:nth-child(8)::before { content: "cosine"; } .tensors td:nth-child(9)::before { content: "SNR dB"; }
  .tensors td { white-space: normal; overflow-wrap: anywhere; }
  .files tbody th { min-width: 7rem; width: 35%; } .files td:last-child { overflow-wrap: anywhere; }
}
@media screen and (min-width: 960.01px) and (max-width: 1150px) {
  .tensors tr > :nth-child(n+8) { display: none; }
}
@media print {
  :root { --paper: #fff; --wash: #f5f5f5; }
  .tools, .choice, .more, #tip { display: none; }
  section, .banner, tr { break-inside: avoid; } .tensors { break-inside: auto; }
  .tensors tr > :nth-child(5):not([colspan]), .tensors tr > :nth-child(n+8) { display: none; }
  thead button::after { content: none; }
  main { max-width: none; padding: 0; } thead th { position: static; }
  body { font-size: 11px; } th, td { padding: .25rem .3rem; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";

}  // namespace ferry::report
