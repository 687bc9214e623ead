module slipway.dev/bench/loadgen

go 1.25
