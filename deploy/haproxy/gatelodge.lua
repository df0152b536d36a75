-- Asks Gatelodge whether a request may pass: `http-request lua.gatelodge URL`, after
-- the X-Forwarded-… headers have been set. Whatever Gatelodge does not let pass, or
-- cannot be asked about, does not pass.

-- What an app is told. Every one is in every answer that lets pass.
local TOLD = {
    "remote-user", "remote-email", "remote-name", "remote-groups", "remote-session", "cookie",
}

-- What a client is told whose request does not pass.
local ANSWERED = {
    "location", "content-type", "cache-control", "vary", "www-authenticate", "retry-after",
}

-- Of this connection or of the body, which is not sent along.
local NOT_ASKED = {
    ["host"] = true, ["connection"] = true, ["upgrade"] = true, ["keep-alive"] = true, ["te"] = true,
    ["content-length"] = true, ["transfer-encoding"] = true, ["expect"] = true,
}

-- The answer when Gatelodge cannot tell, or cannot be asked.
local UNAVAILABLE = {
    status = 503,
    headers = { ["retry-after"] = { "2" }, ["cache-control"] = { "no-store" } },
}

-- HAProxy counts values from 0 in what came, and from 1 in what goes.
local function values(list)
    local found = {}
    local index = list[0] and 0 or 1
    while list[index] do
        found[#found + 1] = list[index]
        index = index + 1
    end
    return found
end

local function ask(url, headers)
    local asked = {}
    for name, list in pairs(headers) do
        if not NOT_ASKED[name] then
            asked[name] = values(list)
        end
    end
    return core.httpclient():get{ url = url, headers = asked, timeout = 5000 }
end

-- Lets a request pass, with what the app is told.
local function pass(txn, headers)
    for _, name in ipairs(TOLD) do
        txn.http:req_del_header(name)
        for _, value in ipairs(values(headers[name] or {})) do
            if value ~= "" then
                txn.http:req_add_header(name, value)
            end
        end
    end
end

local function answer(txn, response)
    local headers = {}
    for _, name in ipairs(ANSWERED) do
        local list = response.headers[name]
        if list then
            headers[name] = values(list)
        end
    end
    txn:done(txn:reply{ status = response.status, headers = headers, body = response.body })
end

core.register_action("gatelodge", { "http-req" }, function(txn, url)
    local is_asked, response = pcall(ask, url, txn.http:req_get_headers())
    local status = is_asked and response.status or 0
    if status == 200 then
        pass(txn, response.headers)
    elseif status >= 300 and status < 500 then
        answer(txn, response)
    else
        answer(txn, UNAVAILABLE)
    end
end, 1)
