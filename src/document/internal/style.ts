/** The style of the page, for screens and paper, in light and dark. It refers to nothing outside. */
export const style = `
:root{color-scheme:light dark;--ink:#1b2330;--soft:#586377;--ground:#fff;--panel:#f4f6f9;--line:#d5dbe5;--accent:#2457c5;--policy:#fff4d6;--queue:#e4f3e8;--alert:#fde6e4;--service:#e6edfb}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ef;--soft:#9aa6b8;--ground:#14181f;--panel:#1d232d;--line:#343d4c;--accent:#8fb4ff;--policy:#3b3217;--queue:#1b3524;--alert:#44211f;--service:#1e2c4a}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
nav{padding:1rem 1.25rem;font-size:.9rem;border-bottom:1px solid var(--line);background:var(--panel)}
nav ul{list-style:none;margin:.5rem 0 0;padding:0}
nav li.l3{padding-left:1rem;font-size:.93em}
nav a{color:inherit;text-decoration:none;display:block;padding:.12rem 0}
nav a:hover{color:var(--accent);text-decoration:underline}
nav summary,nav strong{cursor:pointer;font-weight:600}
nav .wide{display:none}
main{padding:1rem 1.25rem 4rem;max-width:78rem;margin:0 auto}
h1{font-size:1.9rem;line-height:1.2;margin:1rem 0}
h2{font-size:1.45rem;margin:2.6rem 0 1rem;padding-bottom:.3rem;border-bottom:2px solid var(--line)}
h3{font-size:1.15rem;margin:2rem 0 .7rem}
h4{font-size:1rem;margin:1.6rem 0 .5rem;color:var(--soft);text-transform:uppercase;letter-spacing:.03em}
h4.plain{text-transform:none;letter-spacing:0}
p{margin:.6rem 0}
blockquote{margin:.8rem 0;padding:.5rem .9rem;border-left:3px solid var(--accent);background:var(--panel);font-size:.95rem}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--panel);padding:.08em .3em;border-radius:3px}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.8rem 1rem;overflow-x:auto;overflow-wrap:normal;line-height:1.4}
pre code{background:none;padding:0}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.92rem;min-width:100%}
th,td{border:1px solid var(--line);padding:.4rem .6rem;text-align:left;vertical-align:top;min-width:8.5rem;max-width:28rem}
td.long{min-width:15rem}
td code.whole{white-space:nowrap}
th{background:var(--panel);white-space:nowrap}
figure{margin:1rem 0}
figure .scroll{border:1px solid var(--line);border-radius:6px;padding:.5rem}
figure details{font-size:.9rem;color:var(--soft)}
.none{color:var(--soft);font-style:italic}
svg{display:block;max-width:100%;min-width:62rem;height:auto;margin:0 auto}
svg.narrow{min-width:0}
svg text{font:13px ui-sans-serif,system-ui,sans-serif;fill:var(--ink)}
svg text.small,svg .small{font-size:12px}
svg .strong{font-weight:600}
svg .service{fill:var(--service);stroke:var(--soft)}
svg .policy{fill:var(--policy);stroke:var(--soft)}
svg .queue{fill:var(--queue);stroke:var(--soft)}
svg .alert{fill:var(--alert);stroke:var(--soft)}
svg .note{fill:var(--policy);stroke:var(--line)}
svg .group{fill:var(--panel);stroke:var(--line)}
svg .frame{fill:none;stroke:var(--soft)}
svg .ground{fill:var(--ground);stroke:none;opacity:.9}
svg .edge{fill:none;stroke:var(--soft);stroke-width:1.3}
svg .faint{stroke-width:.8;stroke-dasharray:2 3}
svg .lid{fill:none;stroke:var(--soft)}
svg .dashed{stroke-dasharray:5 4}
svg .life{fill:none;stroke:var(--line)}
svg .head{fill:var(--soft)}
@media screen and (max-width:40rem){
thead{display:none}
table,tbody,tr,td{display:block;min-width:0;max-width:none}
tr{border:1px solid var(--line);border-radius:6px;margin-bottom:.6rem;padding:.3rem .2rem}
td,td.long{border:0;padding:.2rem .6rem;min-width:0}
td::before{content:attr(data-column);display:block;font-size:.78rem;color:var(--soft)}
td code.whole{white-space:normal}
}
@media (min-width:1100px){
nav .wide{display:block}
nav .narrow{display:none}
nav strong{cursor:default}
body{display:grid;grid-template-columns:18rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;border-bottom:0;border-right:1px solid var(--line)}
main{padding:1rem 3rem 4rem;width:100%}
}
@page{margin:15mm 14mm}
@media print{
:root{--ink:#000;--soft:#444;--ground:#fff;--panel:#f6f6f6;--line:#bbb;--accent:#000;--policy:#fff4d6;--queue:#e4f3e8;--alert:#fde6e4;--service:#e6edfb}
body{display:block;font-size:11pt}
nav,figure details{display:none}
main{padding:0;max-width:none}
h2,h3,h4{break-after:avoid}
p:has(+pre),p:has(+.scroll),p:has(+figure),p:has(+ol),p:has(+ul){break-after:avoid}
tr,figure,blockquote,pre,li{break-inside:avoid}
thead{display:table-header-group}
table{font-size:9pt}
.scroll{overflow:visible}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
th{white-space:normal}
th,td,td.long{min-width:0;overflow-wrap:break-word}
td code,td code.whole{white-space:normal;font-size:.82em}
td.words,td code.words{overflow-wrap:anywhere}
svg{min-width:0;max-height:240mm}
}
`.trim()
