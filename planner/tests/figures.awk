# What was proved, in a few lines: the sums of what the tests and cargo-mutants print.

function before(word,    at) {
    for (at = 2; at <= NF; at++) if ($at == word || $at == word ",") return $(at - 1)
    return 0
}

/every observation: .* decisions$/ { observations += before("observations"); decisions += before("decisions") }
/ states, .* transitions, depth / { scenarios++; states += before("states"); edges += before("transitions") }
/ wrong planners caught$/ { wrong += before("wrong") }
/ mutants? tested in / {
    mutants = $1
    caught = before("caught"); missed = before("missed"); endless = before("timeout") + before("timeouts"); unviable = before("unviable")
}

END {
    if (observations || scenarios) print "proved:"
    if (observations) printf "  %.0f observations, %.0f decisions, no law broken\n", observations, decisions
    if (scenarios) printf "  %.0f scenarios, %.0f states, %.0f transitions, no promise broken\n", scenarios, states, edges
    if (wrong) printf "  %.0f wrong planners caught\n", wrong
    if (mutants) printf "  %.0f mutants ran: %.0f caught, %.0f missed, %.0f never ended, %.0f that don't compile\n", mutants, caught, missed, endless, unviable
}
