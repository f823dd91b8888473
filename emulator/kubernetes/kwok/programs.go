// The programs that cloud_emulator.backends.programs builds; importing them keeps their modules in go.mod. Never compiled itself.
//go:build programs

package programs

import _ "sigs.k8s.io/kwok/cmd/kwok"
