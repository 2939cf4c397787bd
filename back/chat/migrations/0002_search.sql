CREATE TABLE "tims_searched_chat" (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE VIRTUAL TABLE "tims_search_chat" USING fts5(words, content='', detail=none, columnsize=0, tokenize="unicode61 remove_diacritics 0 categories 'L* M* N*' separators '🤀🤁🤂🤃🤄🤅🤆🤇🤈🤉🤊🤋🤌🤍🤎🤏🤐🤑🤒🤓🤔🤕🤖🤗🤘🤙🤚🤛🤜🤝🤞🤟🤠🤡🤢🤣🤤🤥🤦🤧🤨🤩🤪🤫🤬🤭🤮🤯🤰🤱🤲🤳🤴🤵🤶🤷🤸🤹🤺🤻🤼🤽🤾🤿🥀🥁🥂🥃🥄🥅🥆🥇🥈🥉🥊🥋🥌🥍🥎🥏🥐🥑🥒🥓🥔🥕🥖🥗🥘🥙🥚🥛🥜🥝🥞🥟🥠🥡🥢🥣🥤🥥🥦🥧🥨🥩🥪🥫🥬🥭🥮🥯🥰🥱🥲🥳🥴🥵🥶🥷🥸🥹🥺🥻🥼🥽🥾🥿🦀🦁🦂🦃🦄🦅🦆🦇🦈🦉🦊🦋🦌🦍🦎🦏🦐🦑🦒🦓🦔🦕🦖🦗🦘🦙🦚🦛🦜🦝🦞🦟🦠🦡🦢🦣🦤🦥🦦🦧🦨🦩🦪🦫🦬🦭🦮🦯🦰🦱🦲🦳🦴🦵🦶🦷🦸🦹🦺🦻🦼🦽🦾🦿🧀🧁🧂🧃🧄🧅🧆🧇🧈🧉🧊🧋🧌🧍🧎🧏🧐🧑🧒🧓🧔🧕🧖🧗🧘🧙🧚🧛🧜🧝🧞🧟🧠🧡🧢🧣🧤🧥🧦🧧🧨🧩🧪🧫🧬🧭🧮🧯🧰🧱🧲🧳🧴🧵🧶🧷🧸🧹🧺🧻🧼🧽🧾🧿🨀🨁🨂🨃🨄🨅🨆🨇🨈🨉🨊🨋🨌🨍🨎🨏🨐🨑🨒🨓🨔🨕🨖🨗🨘🨙🨚🨛🨜🨝🨞🨟🨠🨡🨢🨣🨤🨥🨦🨧🨨🨩🨪🨫🨬🨭🨮🨯🨰🨱🨲🨳🨴🨵🨶🨷🨸🨹🨺🨻🨼🨽🨾🨿🩀🩁🩂🩃🩄🩅🩆🩇🩈🩉🩊🩋🩌🩍🩎🩏🩐🩑🩒🩓🩔🩕🩖🩗🩘🩙🩚🩛🩜🩝🩞🩟🩠🩡🩢🩣🩤🩥🩦🩧🩨🩩🩪🩫🩬🩭🩮🩯🩰🩱🩲🩳🩴🩵🩶🩷🩸🩹🩺🩻🩼🩽🩾🩿🪀🪁🪂🪃🪄🪅🪆🪇🪈🪉🪊🪋🪌🪍🪎🪏🪐🪑🪒🪓🪔🪕🪖🪗🪘🪙🪚🪛🪜🪝🪞🪟🪠🪡🪢🪣🪤🪥🪦🪧🪨🪩🪪🪫🪬🪭🪮🪯🪰🪱🪲🪳🪴🪵🪶🪷🪸🪹🪺🪻🪼🪽🪾🪿🫀🫁🫂🫃🫄🫅🫆🫇🫈🫉🫊🫋🫌🫍🫎🫏🫐🫑🫒🫓🫔🫕🫖🫗🫘🫙🫚🫛🫜🫝🫞🫟🫠🫡🫢🫣🫤🫥🫦🫧🫨🫩🫪🫫🫬🫭🫮🫯🫰🫱🫲🫳🫴🫵🫶🫷🫸🫹🫺🫻🫼🫽🫾🫿'");
CREATE TRIGGER "tims_search_chat_insert" AFTER INSERT ON "chat" BEGIN
    INSERT INTO "tims_searched_chat" (id) VALUES (new."id");
    INSERT INTO "tims_search_chat" (rowid, words)
        SELECT number, substr(coalesce(new."title", ''), 1, 200000) FROM "tims_searched_chat" WHERE id = new."id";
END;
CREATE TRIGGER "tims_search_chat_update" AFTER UPDATE OF "id", "title" ON "chat" BEGIN
    INSERT INTO "tims_search_chat" ("tims_search_chat", rowid, words)
        SELECT 'delete', number, substr(coalesce(old."title", ''), 1, 200000) FROM "tims_searched_chat" WHERE id = old."id";
    UPDATE "tims_searched_chat" SET id = new."id" WHERE id = old."id";
    INSERT INTO "tims_search_chat" (rowid, words)
        SELECT number, substr(coalesce(new."title", ''), 1, 200000) FROM "tims_searched_chat" WHERE id = new."id";
END;
CREATE TRIGGER "tims_search_chat_delete" AFTER DELETE ON "chat" BEGIN
    INSERT INTO "tims_search_chat" ("tims_search_chat", rowid, words)
        SELECT 'delete', number, substr(coalesce(old."title", ''), 1, 200000) FROM "tims_searched_chat" WHERE id = old."id";
    DELETE FROM "tims_searched_chat" WHERE id = old."id";
END;
INSERT INTO "tims_searched_chat" (id) SELECT "id" FROM "chat";
INSERT INTO "tims_search_chat" (rowid, words) SELECT s.number, substr(coalesce("title", ''), 1, 200000) FROM "chat" JOIN "tims_searched_chat" s ON s.id = "chat"."id";
CREATE TABLE "tims_searched_message" (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE VIRTUAL TABLE "tims_search_message" USING fts5(words, content='', detail=none, columnsize=0, tokenize="unicode61 remove_diacritics 0 categories 'L* M* N*' separators '🤀🤁🤂🤃🤄🤅🤆🤇🤈🤉🤊🤋🤌🤍🤎🤏🤐🤑🤒🤓🤔🤕🤖🤗🤘🤙🤚🤛🤜🤝🤞🤟🤠🤡🤢🤣🤤🤥🤦🤧🤨🤩🤪🤫🤬🤭🤮🤯🤰🤱🤲🤳🤴🤵🤶🤷🤸🤹🤺🤻🤼🤽🤾🤿🥀🥁🥂🥃🥄🥅🥆🥇🥈🥉🥊🥋🥌🥍🥎🥏🥐🥑🥒🥓🥔🥕🥖🥗🥘🥙🥚🥛🥜🥝🥞🥟🥠🥡🥢🥣🥤🥥🥦🥧🥨🥩🥪🥫🥬🥭🥮🥯🥰🥱🥲🥳🥴🥵🥶🥷🥸🥹🥺🥻🥼🥽🥾🥿🦀🦁🦂🦃🦄🦅🦆🦇🦈🦉🦊🦋🦌🦍🦎🦏🦐🦑🦒🦓🦔🦕🦖🦗🦘🦙🦚🦛🦜🦝🦞🦟🦠🦡🦢🦣🦤🦥🦦🦧🦨🦩🦪🦫🦬🦭🦮🦯🦰🦱🦲🦳🦴🦵🦶🦷🦸🦹🦺🦻🦼🦽🦾🦿🧀🧁🧂🧃🧄🧅🧆🧇🧈🧉🧊🧋🧌🧍🧎🧏🧐🧑🧒🧓🧔🧕🧖🧗🧘🧙🧚🧛🧜🧝🧞🧟🧠🧡🧢🧣🧤🧥🧦🧧🧨🧩🧪🧫🧬🧭🧮🧯🧰🧱🧲🧳🧴🧵🧶🧷🧸🧹🧺🧻🧼🧽🧾🧿🨀🨁🨂🨃🨄🨅🨆🨇🨈🨉🨊🨋🨌🨍🨎🨏🨐🨑🨒🨓🨔🨕🨖🨗🨘🨙🨚🨛🨜🨝🨞🨟🨠🨡🨢🨣🨤🨥🨦🨧🨨🨩🨪🨫🨬🨭🨮🨯🨰🨱🨲🨳🨴🨵🨶🨷🨸🨹🨺🨻🨼🨽🨾🨿🩀🩁🩂🩃🩄🩅🩆🩇🩈🩉🩊🩋🩌🩍🩎🩏🩐🩑🩒🩓🩔🩕🩖🩗🩘🩙🩚🩛🩜🩝🩞🩟🩠🩡🩢🩣🩤🩥🩦🩧🩨🩩🩪🩫🩬🩭🩮🩯🩰🩱🩲🩳🩴🩵🩶🩷🩸🩹🩺🩻🩼🩽🩾🩿🪀🪁🪂🪃🪄🪅🪆🪇🪈🪉🪊🪋🪌🪍🪎🪏🪐🪑🪒🪓🪔🪕🪖🪗🪘🪙🪚🪛🪜🪝🪞🪟🪠🪡🪢🪣🪤🪥🪦🪧🪨🪩🪪🪫🪬🪭🪮🪯🪰🪱🪲🪳🪴🪵🪶🪷🪸🪹🪺🪻🪼🪽🪾🪿🫀🫁🫂🫃🫄🫅🫆🫇🫈🫉🫊🫋🫌🫍🫎🫏🫐🫑🫒🫓🫔🫕🫖🫗🫘🫙🫚🫛🫜🫝🫞🫟🫠🫡🫢🫣🫤🫥🫦🫧🫨🫩🫪🫫🫬🫭🫮🫯🫰🫱🫲🫳🫴🫵🫶🫷🫸🫹🫺🫻🫼🫽🫾🫿'");
CREATE TRIGGER "tims_search_message_insert" AFTER INSERT ON "message" BEGIN
    INSERT INTO "tims_searched_message" (id) VALUES (new."id");
    INSERT INTO "tims_search_message" (rowid, words)
        SELECT number, substr(coalesce(new."text", ''), 1, 200000) FROM "tims_searched_message" WHERE id = new."id";
END;
CREATE TRIGGER "tims_search_message_update" AFTER UPDATE OF "id", "text" ON "message" BEGIN
    INSERT INTO "tims_search_message" ("tims_search_message", rowid, words)
        SELECT 'delete', number, substr(coalesce(old."text", ''), 1, 200000) FROM "tims_searched_message" WHERE id = old."id";
    UPDATE "tims_searched_message" SET id = new."id" WHERE id = old."id";
    INSERT INTO "tims_search_message" (rowid, words)
        SELECT number, substr(coalesce(new."text", ''), 1, 200000) FROM "tims_searched_message" WHERE id = new."id";
END;
CREATE TRIGGER "tims_search_message_delete" AFTER DELETE ON "message" BEGIN
    INSERT INTO "tims_search_message" ("tims_search_message", rowid, words)
        SELECT 'delete', number, substr(coalesce(old."text", ''), 1, 200000) FROM "tims_searched_message" WHERE id = old."id";
    DELETE FROM "tims_searched_message" WHERE id = old."id";
END;
INSERT INTO "tims_searched_message" (id) SELECT "id" FROM "message";
INSERT INTO "tims_search_message" (rowid, words) SELECT s.number, substr(coalesce("text", ''), 1, 200000) FROM "message" JOIN "tims_searched_message" s ON s.id = "message"."id";
