---@meta http

---Requests to web servers.
http = {}

---@class http.answer
---@field code integer
---@field body string
---@field url string

---@class http.full_answer: http.answer
---@field headers table<string, string> names in lower case

---@class http.options
---@field url string
---@field method? string
---@field headers? table<string, string|number>
---@field body? string
---@field timeout? number seconds, 10 by default
---@field insecure? boolean accept any certificate
---@field ca? string a file of certificates that are trusted too
---@field max_size? integer the longest body in bytes

---Asks a web server.
---@param url string
---@return http.answer?
---@return string? message
function http.get(url) end

---Sends JSON to a web server.
---@param url string
---@param body string
---@return http.answer?
---@return string? message
function http.post(url, body) end

---Asks a web server, with everything that can be said about it.
---@param options http.options
---@return http.full_answer?
---@return string? message
function http.request(options) end

---Writes a text so that it can be part of a query.
---@param text string
---@return string
function http.escape(text) end

---The other way round.
---@param text string
---@return string? text
---@return string? message
function http.unescape(text) end
