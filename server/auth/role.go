package auth

import (
	"fmt"
	"slices"
	"strings"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// ParseRole reads a role's name as people write it: "ml_engineer".
func ParseRole(name string) (attunev1.Role, error) {
	if r := attunev1.Role_value["ROLE_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]; r != 0 {
		return attunev1.Role(r), nil
	}
	return 0, fmt.Errorf("%q is no role: expected one of %s", name, strings.Join(Roles(), ", "))
}

// RoleName is what ParseRole reads.
func RoleName(r attunev1.Role) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
}

// Roles lists the names of all roles.
func Roles() []string {
	var all []string
	for n := range attunev1.Role_name {
		if n != 0 {
			all = append(all, RoleName(attunev1.Role(n)))
		}
	}
	slices.Sort(all)
	return all
}

// rolesOf are the roles among names; others mean nothing here.
func rolesOf(names []string) (roles []attunev1.Role) {
	for _, n := range names {
		if r, err := ParseRole(n); err == nil {
			roles = append(roles, r)
		}
	}
	return roles
}
