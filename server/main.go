// Command server answers recommendations and takes events.
package main

func main() {}
