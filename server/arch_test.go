package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The houses in the order in which imports go: a package imports only to its
// left. The programs never import each other.
var houses = []string{"proto", "features", "models", "trainer", "server", "loadtest"}

// programs stand side by side: they meet at the release and at the store.
var programs = map[string]bool{"trainer": true, "server": true, "loadtest": true}

// allowedTop is everything that may lie at the root of the repository.
var allowedTop = map[string]bool{
	"proto": true, "trainer": true, "server": true, "features": true, "models": true, "loadtest": true,
	"go.mod": true, "go.sum": true, "Makefile": true, "README.md": true, "docs": true, "deploy": true, ".ci": true,
	"LICENSE": true, "CHANGELOG.md": true, "SECURITY.md": true, ".gitignore": true, ".golangci.yml": true, ".git": true,
	".gitattributes": true, ".github": true,
}

const module = "github.com/attune-rec/attune/"

func TestImportsGoOneWay(t *testing.T) {
	rank := map[string]int{}
	for i, h := range houses {
		rank[h] = i
	}
	for _, line := range goList(t, `{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}`) {
		fields := strings.Fields(line)
		pkg, imports := fields[0], fields[1:]
		from := house(pkg)
		if _, ok := rank[from]; !ok {
			t.Errorf("%s is in no house: expected one of %v", pkg, houses)
			continue
		}
		for _, imp := range imports {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			to := house(imp)
			switch {
			case to == from:
			case rank[to] > rank[from]:
				t.Errorf("%s imports %s: imports go %s", pkg, imp, strings.Join(houses, " → "))
			case programs[from] && programs[to] && pkg != module+"server/e2e":
				t.Errorf("%s imports %s: programs never import each other", pkg, imp)
			case to == "proto" && (from == "features" || from == "models"):
				t.Errorf("%s imports %s: conversion happens in server/api and server/collect", pkg, imp)
			}
		}
	}
}

func TestVocabularyIsStandardLibraryOnly(t *testing.T) {
	for _, line := range goList(t, `{{.ImportPath}} {{join .Imports " "}}`) {
		fields := strings.Fields(line)
		if fields[0] != module+"features" {
			continue
		}
		for _, imp := range fields[1:] {
			if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
				t.Errorf("features imports %s: expected the standard library only", imp)
			}
		}
	}
}

func TestMilvusStaysInItsRoom(t *testing.T) {
	for _, line := range goList(t, `{{.ImportPath}} {{join .Imports " "}}`) {
		fields := strings.Fields(line)
		for _, imp := range fields[1:] {
			if strings.HasPrefix(imp, "github.com/milvus-io/") && !strings.HasPrefix(fields[0], module+"models/vector/milvus") {
				t.Errorf("%s imports %s: the SDK stays in models/vector/milvus", fields[0], imp)
			}
		}
	}
}

// Tests that publish may use the library, too.
func TestKafkaStaysInItsRoom(t *testing.T) {
	for _, line := range goList(t, `{{.ImportPath}} {{join .Imports " "}}`) {
		fields := strings.Fields(line)
		for _, imp := range fields[1:] {
			if strings.HasPrefix(imp, "github.com/twmb/") && !strings.HasPrefix(fields[0], module+"server/kafka") {
				t.Errorf("%s imports %s: the library stays in server/kafka", fields[0], imp)
			}
		}
	}
}

func TestTopLevelIsFixed(t *testing.T) {
	root := repositoryRoot(t)
	out, err := exec.Command("git", "-C", root, "ls-files").Output()
	if err != nil {
		t.Skipf("git ls-files: %v: the top level is checked in a git checkout", err)
	}
	for _, path := range strings.Fields(string(out)) {
		top := strings.SplitN(path, "/", 2)[0]
		if !allowedTop[top] {
			t.Errorf("%s does not belong at the root", top)
		}
	}
}

func house(pkg string) string {
	return strings.SplitN(strings.TrimPrefix(pkg, module), "/", 2)[0]
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env GOMOD: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

func goList(t *testing.T, format string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", format, "./...")
	cmd.Dir = repositoryRoot(t)

	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
