BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	version_id INTEGER NOT NULL, 
	from_state VARCHAR NOT NULL, 
	to_state VARCHAR NOT NULL, 
	actor VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	at DOUBLE NOT NULL, 
	previous_hash VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(version_id) REFERENCES versions (id), 
	UNIQUE (hash)
);
INSERT INTO "audit" VALUES(1,1,'new','trusted','ann','released',4.0,'','508706fd9b2a94f7d70c6f1e09e554ca9ad2e8c8bd97552aa43a1dc057387bc1');
INSERT INTO "audit" VALUES(2,2,'new','checking','latentwatch','compared with v1',5.0,'508706fd9b2a94f7d70c6f1e09e554ca9ad2e8c8bd97552aa43a1dc057387bc1','610c204e333a99628c117cb39440e260972fa199d505517f8adceb22717c2ae5');
INSERT INTO "audit" VALUES(3,3,'new','checking','latentwatch','compared with v1',6.0,'610c204e333a99628c117cb39440e260972fa199d505517f8adceb22717c2ae5','ed1d63cf06287176d1f61e24caa7b091a29f80cc6eef49d07e406312002d2c40');
CREATE TABLE diffs (
	id INTEGER NOT NULL, 
	line_id INTEGER NOT NULL, 
	base_digest VARCHAR NOT NULL, 
	candidate_digest VARCHAR NOT NULL, 
	recipe_digest VARCHAR NOT NULL, 
	probe_only BOOLEAN NOT NULL, 
	state VARCHAR NOT NULL, 
	stage VARCHAR, 
	attempt INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	owner VARCHAR, 
	lease_until DOUBLE, 
	verdict VARCHAR, 
	error VARCHAR, 
	queued_at DOUBLE NOT NULL, 
	finished_at DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (line_id, base_digest, candidate_digest, recipe_digest), 
	FOREIGN KEY(line_id) REFERENCES lines (id)
);
INSERT INTO "diffs" VALUES(1,1,'3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe','fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f990','recipe',0,'queued',NULL,0,0,NULL,NULL,NULL,NULL,5.0,NULL);
INSERT INTO "diffs" VALUES(2,1,'3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe','e0d2747b9ab7abb6eb65e0373fa1b428a28bd6d8a2380106dcc080f58005ee14','recipe',1,'queued',NULL,0,0,NULL,NULL,NULL,NULL,6.0,NULL);
CREATE TABLE file_digests (
	path VARCHAR NOT NULL, 
	size INTEGER NOT NULL, 
	mtime_ns INTEGER NOT NULL, 
	ctime_ns INTEGER NOT NULL, 
	inode INTEGER NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	tensors VARCHAR, 
	PRIMARY KEY (path)
);
CREATE TABLE lines (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	created_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "lines" VALUES(1,'chat',1.0);
CREATE TABLE observations (
	id INTEGER NOT NULL, 
	line_id INTEGER NOT NULL, 
	version_id INTEGER, 
	name VARCHAR NOT NULL, 
	locator VARCHAR NOT NULL, 
	reason VARCHAR, 
	seen_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(line_id) REFERENCES lines (id), 
	FOREIGN KEY(version_id) REFERENCES versions (id)
);
CREATE TABLE versions (
	id INTEGER NOT NULL, 
	line_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	locator VARCHAR NOT NULL, 
	content_digest VARCHAR NOT NULL, 
	weights_digest VARCHAR NOT NULL, 
	tokenizer_digest VARCHAR NOT NULL, 
	shape VARCHAR NOT NULL, 
	published_at DOUBLE NOT NULL, 
	registered_at DOUBLE NOT NULL, 
	state VARCHAR NOT NULL, 
	state_at DOUBLE NOT NULL, 
	reason VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (line_id, content_digest), 
	FOREIGN KEY(line_id) REFERENCES lines (id)
);
INSERT INTO "versions" VALUES(1,1,'v1','/models/v1','3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe','3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe','t','LlamaForCausalLM 2x8',2.0,3.0,'trusted',4.0,'released');
INSERT INTO "versions" VALUES(2,1,'v2','/models/v2','fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f990','fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f990','t','LlamaForCausalLM 2x8',2.0,3.0,'checking',5.0,'compared with v1');
INSERT INTO "versions" VALUES(3,1,'v3','/models/v3','e0d2747b9ab7abb6eb65e0373fa1b428a28bd6d8a2380106dcc080f58005ee14','3bfc269594ef649228e9a74bab00f042efc91d5acc6fbee31a382e80d42388fe','t','LlamaForCausalLM 2x8',2.0,3.0,'checking',6.0,'compared with v1');
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
COMMIT;
