CREATE TABLE "tims_searched_user" (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE VIRTUAL TABLE "tims_search_user" USING fts5(words, content='', detail=none, columnsize=0, tokenize="unicode61 remove_diacritics 0 categories 'L* M* N*' separators '🤀🤁🤂🤃🤄🤅🤆🤇🤈🤉🤊🤋🤌🤍🤎🤏🤐🤑🤒🤓🤔🤕🤖🤗🤘🤙🤚🤛🤜🤝🤞🤟🤠🤡🤢🤣🤤🤥🤦🤧🤨🤩🤪🤫🤬🤭🤮🤯🤰🤱🤲🤳🤴🤵🤶🤷🤸🤹🤺🤻🤼🤽🤾🤿🥀🥁🥂🥃🥄🥅🥆🥇🥈🥉🥊🥋🥌🥍🥎🥏🥐🥑🥒🥓🥔🥕🥖🥗🥘🥙🥚🥛🥜🥝🥞🥟🥠🥡🥢🥣🥤🥥🥦🥧🥨🥩🥪🥫🥬🥭🥮🥯🥰🥱🥲🥳🥴🥵🥶🥷🥸🥹🥺🥻🥼🥽🥾🥿🦀🦁🦂🦃🦄🦅🦆🦇🦈🦉🦊🦋🦌🦍🦎🦏🦐🦑🦒🦓🦔🦕🦖🦗🦘🦙🦚🦛🦜🦝🦞🦟🦠🦡🦢🦣🦤🦥🦦🦧🦨🦩🦪🦫🦬🦭🦮🦯🦰🦱🦲🦳🦴🦵🦶🦷🦸🦹🦺🦻🦼🦽🦾🦿🧀🧁🧂🧃🧄🧅🧆🧇🧈🧉🧊🧋🧌🧍🧎🧏🧐🧑🧒🧓🧔🧕🧖🧗🧘🧙🧚🧛🧜🧝🧞🧟🧠🧡🧢🧣🧤🧥🧦🧧🧨🧩🧪🧫🧬🧭🧮🧯🧰🧱🧲🧳🧴🧵🧶🧷🧸🧹🧺🧻🧼🧽🧾🧿🨀🨁🨂🨃🨄🨅🨆🨇🨈🨉🨊🨋🨌🨍🨎🨏🨐🨑🨒🨓🨔🨕🨖🨗🨘🨙🨚🨛🨜🨝🨞🨟🨠🨡🨢🨣🨤🨥🨦🨧🨨🨩🨪🨫🨬🨭🨮🨯🨰🨱🨲🨳🨴🨵🨶🨷🨸🨹🨺🨻🨼🨽🨾🨿🩀🩁🩂🩃🩄🩅🩆🩇🩈🩉🩊🩋🩌🩍🩎🩏🩐🩑🩒🩓🩔🩕🩖🩗🩘🩙🩚🩛🩜🩝🩞🩟🩠🩡🩢🩣🩤🩥🩦🩧🩨🩩🩪🩫🩬🩭🩮🩯🩰🩱🩲🩳🩴🩵🩶🩷🩸🩹🩺🩻🩼🩽🩾🩿🪀🪁🪂🪃🪄🪅🪆🪇🪈🪉🪊🪋🪌🪍🪎🪏🪐🪑🪒🪓🪔🪕🪖🪗🪘🪙🪚🪛🪜🪝🪞🪟🪠🪡🪢🪣🪤🪥🪦🪧🪨🪩🪪🪫🪬🪭🪮🪯🪰🪱🪲🪳🪴🪵🪶🪷🪸🪹🪺🪻🪼🪽🪾🪿🫀🫁🫂🫃🫄🫅🫆🫇🫈🫉🫊🫋🫌🫍🫎🫏🫐🫑🫒🫓🫔🫕🫖🫗🫘🫙🫚🫛🫜🫝🫞🫟🫠🫡🫢🫣🫤🫥🫦🫧🫨🫩🫪🫫🫬🫭🫮🫯🫰🫱🫲🫳🫴🫵🫶🫷🫸🫹🫺🫻🫼🫽🫾🫿'");
CREATE TRIGGER "tims_search_user_insert" AFTER INSERT ON "user" BEGIN
    INSERT INTO "tims_searched_user" (id) VALUES (new."id");
    INSERT INTO "tims_search_user" (rowid, words)
        SELECT number, substr(coalesce(new."username", '') || ' ' || coalesce(new."display_name", ''), 1, 200000) FROM "tims_searched_user" WHERE id = new."id";
END;
CREATE TRIGGER "tims_search_user_update" AFTER UPDATE OF "id", "username", "display_name" ON "user" BEGIN
    INSERT INTO "tims_search_user" ("tims_search_user", rowid, words)
        SELECT 'delete', number, substr(coalesce(old."username", '') || ' ' || coalesce(old."display_name", ''), 1, 200000) FROM "tims_searched_user" WHERE id = old."id";
    UPDATE "tims_searched_user" SET id = new."id" WHERE id = old."id";
    INSERT INTO "tims_search_user" (rowid, words)
        SELECT number, substr(coalesce(new."username", '') || ' ' || coalesce(new."display_name", ''), 1, 200000) FROM "tims_searched_user" WHERE id = new."id";
END;
CREATE TRIGGER "tims_search_user_delete" AFTER DELETE ON "user" BEGIN
    INSERT INTO "tims_search_user" ("tims_search_user", rowid, words)
        SELECT 'delete', number, substr(coalesce(old."username", '') || ' ' || coalesce(old."display_name", ''), 1, 200000) FROM "tims_searched_user" WHERE id = old."id";
    DELETE FROM "tims_searched_user" WHERE id = old."id";
END;
INSERT INTO "tims_searched_user" (id) SELECT "id" FROM "user";
INSERT INTO "tims_search_user" (rowid, words) SELECT s.number, substr(coalesce("username", '') || ' ' || coalesce("display_name", ''), 1, 200000) FROM "user" JOIN "tims_searched_user" s ON s.id = "user"."id";
