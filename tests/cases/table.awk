# What the cases show of two binaries: awk -f table.awk open.txt RESULTS-OF-0.1.0 RESULTS-OF-TODAY
#
# Each line of the results is a scene: case, scene, case or control, how it ended, what goes wrong, why. It fails when a
# scene is broken, when 0.1.0 passes one that isn't a control or fails one that is, and when today's differs from open.txt.

BEGIN { FS = "\t" }

FNR == 1 { file++ }

file == 1 && /^[^#]/ { sub(/: .*/, ""); open[$0]; next }
file == 1 { next }

{
    name = $1 " " $2
    sub(/ $/, "", name)
    kind[name] = $3
    ended[file, name] = $4
    why[file, name] = $6
    if (!($1 in title)) { title[$1] = $5; cases[++count] = $1 }
    if (!(name in of)) { of[name] = $1; names[++scenes] = name }
    if ($4 == "red") red[file, $1]++
    if ($3 == "case" || $4 == "red") counted[file, $1]++
}

function wrong(text) { complaints[++complained] = text }

function word(file, id) {
    if (!red[file, id]) return "green"
    return red[file, id] == counted[file, id] ? "red" : red[file, id] " of " counted[file, id] " red"
}

END {
    for (i = 1; i <= scenes; i++) {
        name = names[i]; first = ended[2, name]; now = ended[3, name]
        if (first == "" || now == "") { wrong(name ": not played with both"); continue }
        if (first == "broken") wrong(name ": broken with 0.1.0: " why[2, name])
        if (now == "broken") wrong(name ": broken: " why[3, name])
        if (first == "green" && kind[name] == "case") wrong(name ": 0.1.0 passes it, so it tests nothing")
        if (first == "red" && kind[name] == "control") wrong(name ": 0.1.0 fails it, so it is no control: " why[2, name])
        listed = name in open || of[name] in open
        if (now == "red" && !listed) wrong(name ": red: " why[3, name])
        if (now == "green" && name != of[name] && name in open) wrong(name ": mended: remove it from open.txt")
    }
    print "| case | 0.1.0 | now | |"
    print "|---|---|---|---|"
    for (i = 1; i <= count; i++) {
        id = cases[i]
        if (id in open && !red[3, id]) wrong(id ": mended: remove it from open.txt")
        printf "| %s | %s | %s | %s |\n", id, word(2, id), word(3, id), title[id]
        if (red[3, id]) still++
    }
    printf "%d cases, %d scenes; %d cases are open\n", count, scenes, still
    for (i = 1; i <= complained; i++) print complaints[i]
    if (!count || complained) exit 1
}
