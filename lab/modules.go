// Package lab pins what the lab builds or reads from Go modules.
//
// Programs are `tool` lines in go.mod. A module that is read for its files
// only (the Gateway API's CRDs) is kept there by the import below.
package lab

import _ "sigs.k8s.io/gateway-api/pkg/consts"
