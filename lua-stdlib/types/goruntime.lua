---@meta goruntime

---The system and the processor, in Go's words.
goruntime = {}

---@type string `linux`
goruntime.goos = ""

---@type string such as `amd64`
goruntime.goarch = ""
